"""Fields of people that this installation has added: making one, filling it in for a person, and
finding where it is used. Rules use them through person_conditions.py; texts of messages name them
as variables.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Any, ClassVar

import iuliia
from django import forms
from django.core.exceptions import FieldDoesNotExist
from django.utils.translation import gettext_lazy as _

from users.hooks import Hook
from users.models import OwnField, Segment, User

MOST = 50  # own fields; each takes a place in forms and lists
LONGEST = 200
_SLUG = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
# Variables in texts that are not columns of a person.
_TAKEN = {"name", "code", "link"}

# Asked before a field is deleted: what names this slug in other apps, each in words.
uses_elsewhere: Hook[Callable[[str], Iterable[str]]] = Hook(lambda _slug: [])


def uses(field: OwnField) -> list[str]:
    """Return the names of what would break without the field: segments, and what other apps say."""
    asked = json.dumps(f"own:{field.slug}")
    rules = [each.name for each in Segment.objects.all() if asked in json.dumps(each.rule)]
    return [*rules, *uses_elsewhere.given(field.slug)]


def slug_from(label: str) -> str:
    """«День рождения» -> den_rozhdeniya; '' if nothing is left."""
    latin = iuliia.MOSMETRO.translate(label.lower())
    words = re.findall(r"[a-z0-9]+", latin)
    return "_".join(words).lstrip("0123456789_")[:40].rstrip("_")


class OwnFieldForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A new field, or its label. Its name in texts and its kind never change afterwards, because
    texts, rules and values depend on them.
    """

    slug = forms.CharField(
        label=_("Name in texts"),
        required=False,
        max_length=40,
        help_text=_("Latin letters, as {birthday} in a text. Left empty, it is made of the name."),
    )

    class Meta:
        model = OwnField
        fields: ClassVar[list[str]] = ["label", "slug", "kind"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["slug"], self.fields["kind"]

    def clean_label(self) -> str:
        label = " ".join(str(self.cleaned_data["label"]).split())
        others = OwnField.objects.exclude(pk=self.instance.pk).values_list("label", flat=True)
        if label.lower() in {other.lower() for other in others}:
            raise forms.ValidationError(_("There is a field of this name."), code="unique")
        return label

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "slug" not in self.fields or "label" not in cleaned or "slug" in self.errors:
            return cleaned
        slug = str(cleaned.get("slug") or "").strip() or slug_from(cleaned["label"])
        error = _slug_error(slug)
        if error:
            self.add_error("slug", error)
        cleaned["slug"] = slug
        if OwnField.objects.count() >= MOST:
            self.add_error(None, _("There are 50 fields already: more than anybody fills in."))
        return cleaned


def form_fields(person: User | None) -> Iterator[tuple[str, forms.Field]]:
    """Yield (name, field) for each own field in a person's form, filled in with the known value."""
    known = person.fields if person is not None else {}
    for each in OwnField.objects.all():
        yield f"own_{each.slug}", _BY_KIND[OwnField.Kind(each.kind)](each, known.get(each.slug))


def take(person: User, cleaned: dict[str, Any]) -> None:
    """Copy the own fields of a cleaned form into the person; empty values are removed. Values of
    deleted fields stay as they are.
    """
    for each in OwnField.objects.all():
        if f"own_{each.slug}" in cleaned:
            value = _stored(cleaned[f"own_{each.slug}"])
            person.fields.pop(each.slug, None)
            if value not in ("", None):
                person.fields[each.slug] = value


def of_person(person: User) -> list[tuple[str, Any]]:
    """Return (label, Python value) for each own field that is filled in."""
    rows = [(each, person.fields.get(each.slug)) for each in OwnField.objects.all()]
    return [(each.label, _read(each, value)) for each, value in rows if value not in ("", None)]


def _slug_error(slug: str) -> Any:
    if not _SLUG.fullmatch(slug):
        return _("Use small Latin letters, digits and single underscores, a letter first.")
    if slug in _TAKEN or _is_column(slug):
        return _("This name is taken by smsmail itself. Choose another.")
    if OwnField.objects.filter(slug=slug).exists():
        return _("There is a field with this name in texts.")
    return None


def _is_column(slug: str) -> bool:
    try:
        User._meta.get_field(slug)
    except FieldDoesNotExist:
        return False
    return True


def _text(field: OwnField, value: Any) -> forms.Field:
    return forms.CharField(
        label=field.label,
        required=False,
        max_length=LONGEST,
        initial="" if value is None else value,
    )


def _number(field: OwnField, value: Any) -> forms.Field:
    return forms.FloatField(
        label=field.label,
        required=False,
        min_value=-(10**15),
        max_value=10**15,
        localize=True,
        initial=value,
    )


def _date(field: OwnField, value: Any) -> forms.Field:
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    return forms.DateField(label=field.label, required=False, widget=widget, initial=value)


def _yes_no(field: OwnField, value: Any) -> forms.Field:
    return forms.TypedChoiceField(
        label=field.label,
        required=False,
        choices=[("", _("not known")), ("yes", _("yes")), ("no", _("no"))],
        coerce=lambda said: said == "yes",
        empty_value=None,
        initial={True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else "",
    )


_BY_KIND: dict[OwnField.Kind, Callable[[OwnField, Any], forms.Field]] = {
    OwnField.Kind.TEXT: _text,
    OwnField.Kind.NUMBER: _number,
    OwnField.Kind.DATE: _date,
    OwnField.Kind.YES_NO: _yes_no,
}


def _stored(value: Any) -> Any:
    """Return the value as rules compare it: dates as "2026-11-24", whole numbers as int."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _read(field: OwnField, value: Any) -> Any:
    if field.kind == OwnField.Kind.DATE and isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return value
