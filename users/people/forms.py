"""Forms of people and groups. The views and staff.py decide who may use them."""

import zoneinfo
from functools import cache
from typing import Any, ClassVar, cast

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from users.consent import confirmation
from users.models import Group, User
from users.parsing import names, phone_classes, phones

from . import own_fields


class PhoneField(forms.CharField):
    """Accepts a phone as people type it and returns E.164 or ''."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        kwargs.setdefault("label", _("Phone"))
        kwargs.setdefault("widget", forms.TextInput(attrs={"type": "tel", "autocomplete": "off"}))
        super().__init__(**kwargs)

    def clean(self, value: Any) -> str:
        typed = super().clean(value)
        if not typed:
            return ""
        try:
            phone = phones.normalize(typed, settings.DEFAULT_COUNTRY)
        except phones.BadPhone as bad:
            raise forms.ValidationError(bad.error.label, code=bad.error.value) from None
        if phone_classes.is_barred(phone):
            raise forms.ValidationError(
                _(
                    "No SMS is sent to such numbers: satellite, premium rate, freephone and the like."
                ),
                code="barred",
            )
        return phone


def time_zones() -> list[tuple[str, Any]]:
    """Choices grouped by area, after the server's own time zone."""
    return [("", _("As on the server: %s") % settings.TIME_ZONE), *_areas()]


@cache
def _areas() -> list[tuple[str, list[tuple[str, str]]]]:
    """Zones of the form Area/City only; the others are old names and abbreviations. Cached, because Python
    reads a directory for them, which takes 12 ms.
    """
    areas: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(zoneinfo.available_timezones()):
        area, _slash, city = name.partition("/")
        if city and area not in {"Etc", "SystemV", "US"}:
            areas.setdefault(area, []).append((name, city.replace("_", " ")))
    return list(areas.items())


SHOWN_IN_TEXTS = {"first_name", "last_name", "city"}


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What people may change about themselves."""

    phone = PhoneField()
    columns: ClassVar[set[str]] = set()  # columns to save besides those of the changed fields
    language = forms.ChoiceField(
        label=_("Language"),
        required=False,
        choices=[("", _("As the browser asks")), *settings.LANGUAGES],
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, choices=time_zones)

    class Meta:
        model = User
        fields: ClassVar[list[str]] = [
            "first_name",
            "last_name",
            "phone",
            "language",
            "time_zone",
        ]

    def __init__(self, *args: Any, may_change_phone: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in SHOWN_IN_TEXTS & set(self.fields):
            self.fields[name].validators.append(names.check)
        if not may_change_phone:
            del self.fields["phone"]

    def save(self, commit: bool = True) -> User:
        """Save the person. A changed phone is unconfirmed, and no code sent to the old phone confirms it.
        For an existing person only the changed columns are written: a role or right revoked meanwhile must
        not come back.
        """
        written = {*self.changed_data} & {field.name for field in User._meta.fields}
        if "phone" in written and self.instance.phone != self.initial.get("phone"):
            self.instance.phone_confirmed_at, self.instance.phone_shared = None, False
            written |= {"phone_confirmed_at", "phone_shared"}
            if self.instance.pk:
                confirmation.forget(self.instance)
        if not self.instance.pk or not commit:
            return cast(User, super().save(commit))
        self.instance.save(update_fields={*written, *self.columns})
        saved = cast(User, super().save(commit=False))
        self.save_m2m()
        return saved


class PersonForm(ProfileForm):
    """What staff may change about a person, or enter for a new one."""

    columns: ClassVar[set[str]] = {"fields"}
    email = forms.EmailField(label=_("E-mail"), help_text=_("The person signs in by it."))
    groups = forms.ModelMultipleChoiceField(
        label=_("Groups"),
        queryset=Group.objects.all(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta(ProfileForm.Meta):
        fields: ClassVar[list[str]] = [
            "first_name",
            "last_name",
            "email",
            "phone",
            "city",
            "groups",
            "language",
            "time_zone",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.update(own_fields.form_fields(self.instance))

    def save(self, commit: bool = True) -> User:
        own_fields.take(self.instance, self.cleaned_data)
        return super().save(commit)

    def clean_email(self) -> str:
        """Lower-case the e-mail, so that nobody is entered twice."""
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email=email).exclude(id=self.instance.pk).exists():
            raise forms.ValidationError(_("Another person has this e-mail."), code="unique")
        return email


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = Group
        fields: ClassVar[list[str]] = ["name"]

    def clean_name(self) -> str:
        """Refuse names that differ in letter case only: people would confuse the groups."""
        name = " ".join(str(self.cleaned_data["name"]).split())
        # Compared in Python: SQLite ignores case in ASCII only, and groups are few.
        others = Group.objects.exclude(id=self.instance.pk).values_list("name", flat=True)
        if name.lower() in {other.lower() for other in others}:
            raise forms.ValidationError(_("There is a group of this name."), code="unique")
        return name
