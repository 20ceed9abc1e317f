"""The form of a draft."""

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from mailings.audience.personalization import needs_of, parsed
from mailings.audience.spec import AudienceSpec
from mailings.models import Mailing
from mailings.text import template
from mailings.text import wrapping as links
from mailings.text.wrapping import Wrapping
from smsmail.web.query import without_nul
from users.models import Group, Segment
from users.segments import rules

from . import link_options
from .when_form import WhenForm


class DraftForm(WhenForm):
    """The form for a mailing before its launch. Without a connected service it has no text field."""

    recipients = forms.ChoiceField(
        label=_("Who gets it"),
        choices=[("everyone", _("Everyone")), ("groups", _("Groups")), ("segment", _("A segment"))],
        widget=forms.RadioSelect,
    )
    groups = forms.ModelMultipleChoiceField(
        label=_("Which groups"),
        queryset=Group.objects.all(),
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )

    segment = forms.ModelChoiceField(
        label=_("Which segment"),
        queryset=Segment.objects.all(),
        required=False,
        empty_label=_("Choose…"),
    )

    sign_in_days = link_options.lifetime_field()

    class Meta:
        model = Mailing
        fields = (
            *("name", "text", "wrap_links", "links_sign_in", "sign_in_days"),
            *("recipients", "groups", "segment", "only_confirmed"),
            *WhenForm.Meta.fields,
        )
        labels: ClassVar = {
            "name": _("Name"),
            "text": _("Text"),
            "only_confirmed": _("Confirmed only"),
            **link_options.LABELS,
        }
        help_texts: ClassVar = {
            "name": _("For you and your colleagues. Recipients do not see it."),
            "only_confirmed": _(
                "Recommended: leaves out phones that were not confirmed by a code. "
                "Fewer errors, less money."
            ),
            **link_options.HELP,
        }
        widgets: ClassVar = {
            "name": forms.TextInput(attrs={"autocomplete": "off"}),
            "text": forms.Textarea(attrs={"rows": 5}),
        }

    def __init__(self, *args: Any, with_text: bool, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["recipients"] = _whom(self.instance)
        if not with_text:
            for name in ("text", *link_options.LABELS):
                del self.fields[name]

    def clean_text(self) -> str:
        """Refuse a text that cannot be rendered, and say where the error is."""
        written: str = self.cleaned_data["text"]
        try:
            parsed(written)
        except template.BadText as error:
            self.fields["text"].widget.attrs["data-wrong-at"] = error.position
            raise forms.ValidationError(place_of(written, error)) from error
        return written

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("recipients") == "groups" and not cleaned.get("groups"):
            self.add_error("groups", _("Choose at least one group, or everyone."))
        if cleaned.get("recipients") == "segment":
            self._check_segment(cleaned.get("segment"))
        if "text" in cleaned:
            self._check_links(cleaned["text"])
        return cleaned

    def _check_links(self, written: str) -> None:
        try:
            links.wrap(written, self.wrapping)
        except template.BadText as error:
            self.fields["text"].widget.attrs["data-wrong-at"] = error.position
            self.add_error("text", place_of(written, error))

    def _check_segment(self, chosen: Segment | None) -> None:
        if chosen is None:
            if "segment" not in self.errors:
                self.add_error("segment", _("Choose a segment."))
            return
        try:
            rules.read(chosen.rule, of=chosen.pk)
        except rules.BadRule as bad:
            self.add_error("segment", bad.message)

    def save(self, commit: bool = True) -> Mailing:
        whom = self.cleaned_data["recipients"]
        self.instance.everyone = whom == "everyone"
        if whom != "groups":
            self.cleaned_data["groups"] = Group.objects.none()
        if whom != "segment":
            self.instance.segment = None
        draft: Mailing = super().save(commit)
        return draft

    def save_what_fits(self) -> None:
        """Save the valid fields and the text as it is, after is_valid() in either case, so that an
        automatic save loses no word. The launch checks everything again.
        """
        said, draft = self.cleaned_data, self.instance
        draft.name = draft.name or str(_("Untitled"))
        if "text" in self.fields:
            draft.text = without_nul(self.written)
        whom = said.get("recipients")
        if whom is not None:
            draft.everyone = whom == "everyone"
        if whom is not None and whom != "segment":
            draft.segment = None
        draft.save()
        if whom == "groups" and "groups" in said:
            draft.groups.set(said["groups"])
        elif whom is not None:
            draft.groups.clear()

    @property
    def spec(self) -> AudienceSpec:
        """Return who would get it, as far as the form is filled in."""
        if not self.is_bound:
            return self._as_stored()
        self.is_valid()
        said = self.cleaned_data
        whom, segment = said.get("recipients"), said.get("segment")
        return AudienceSpec(
            everyone=whom == "everyone",
            groups=said.get("groups", Group.objects.none())
            if whom == "groups"
            else Group.objects.none(),
            only_confirmed=said.get("only_confirmed", False),
            rule=segment.rule if whom == "segment" and segment else None,
            needs=needs_of(self.written),
            typed=True,
        )

    @property
    def wrapping(self) -> Wrapping:
        """Return which links become short, as far as the form is filled in."""
        if not self.is_bound:
            draft: Mailing = self.instance
            return draft.wrapping
        return Wrapping.chosen(
            clicks=bool(self["wrap_links"].data) if "wrap_links" in self.fields else False,
            sign_in=bool(self["links_sign_in"].data) if "links_sign_in" in self.fields else False,
        )

    def _as_stored(self) -> AudienceSpec:
        """Return the audience of the stored draft, or of the segment that the URL preselects."""
        draft = self.instance
        if draft.pk:
            return AudienceSpec.of(draft)
        asked = self.initial.get("segment")
        rule = asked.rule if isinstance(asked, Segment) else None
        return AudienceSpec(False, Group.objects.none(), False, rule)

    @property
    def written(self) -> str:
        """Return the text as it is in the field, valid or not."""
        return str(self["text"].value() or "") if "text" in self.fields else ""


def _whom(draft: Mailing) -> str:
    if draft.everyone:
        return "everyone"
    return "segment" if draft.segment_id else "groups"


def place_of(written: str, error: template.BadText) -> str:
    """Return the error message, with the line and the words where the error begins."""
    written = written.replace("\r\n", "\n")
    line = written.count("\n", 0, error.position) + 1
    words = written[error.position : error.position + 20].split("\n")[0]
    return str(_("%(error)s Line %(line)d: “%(words)s”")) % {
        "error": error.message,
        "line": line,
        "words": words,
    }
