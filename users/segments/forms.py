"""The form of a segment. rule_editor.py reads its rule."""

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from users.models import Segment


class SegmentForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The name of a segment. Its rule has an editor of its own (rule_editor.py)."""

    class Meta:
        model = Segment
        fields: ClassVar[list[str]] = ["name"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        others = Segment.objects.exclude(id=self.instance.pk).values_list("name", flat=True)
        if name.lower() in {other.lower() for other in others}:
            raise forms.ValidationError(_("There is a segment of this name."), code="unique")
        return name
