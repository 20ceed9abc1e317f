"""Forms of people and groups. Who may use them is the views' and staff.py's to say."""

import zoneinfo
from functools import cache
from typing import Any, ClassVar, cast

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.utils.translation import gettext_lazy as _

from . import confirmation, names, own_fields, phone_classes, phones, public_password
from .models import Group, Segment, User
from .rights import Right, Role

LONGEST_PASSWORD = 4096  # characters, as Django's own field of a new one


class SignInForm(AuthenticationForm):
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def clean_username(self) -> str:
        """In lower case before failures are counted: else every spelling has its own five tries."""
        return str(self.cleaned_data["username"]).strip().lower()

    def get_invalid_login_error(self) -> forms.ValidationError:
        """Django's own words say that the e-mail is case-sensitive; here it is not."""
        words = _("The e-mail or the password is wrong. Check both and try again.")
        typed = self.cleaned_data.get("password")
        here = self.request is None or public_password.is_local(self.request)
        if typed == public_password.PASSWORD and not here:
            words = _(
                "This password stands in the public source of smsmail, so it opens nothing from"
                " another machine. On the server, “manage.py owner owner@example.com” gives a new one."
            )
        return forms.ValidationError(words, code="invalid_login")


class ProofForm(forms.Form):
    """The password once more, of somebody who is signed in."""

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class CodeForm(forms.Form):
    """The code from the SMS."""

    code = forms.CharField(
        label=_("Code from the SMS"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class PhoneField(forms.CharField):
    """Takes a phone as people type it, gives E.164 or ''."""

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
            raise forms.ValidationError(bad.complaint.label, code=bad.complaint.value) from None
        if phone_classes.is_barred(phone):
            raise forms.ValidationError(
                _(
                    "No SMS is sent to such numbers: satellite, premium rate, freephone and the like."
                ),
                code="barred",
            )
        return phone


def time_zones() -> list[tuple[str, Any]]:
    """Grouped by area, after the server's own."""
    return [("", _("As on the server: %s") % settings.TIME_ZONE), *_areas()]


@cache
def _areas() -> list[tuple[str, list[tuple[str, str]]]]:
    """Area/City only: the rest are old names and abbreviations. Python reads a folder for them, in 12 ms."""
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
    columns: ClassVar[set[str]] = set()  # that are written beside those of changed fields
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
        """A new phone is not confirmed by anybody yet, nor by a code sent to the old one. Of a person
        who is there already only what the form changes is written: a role or right taken away in
        between must not come back.
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
    """What staff may change about a person, and all that is asked of a new one."""

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
        """Addresses are kept in lower case, so that one person is not written down twice."""
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email=email).exclude(id=self.instance.pk).exists():
            raise forms.ValidationError(_("Another person has this e-mail."), code="unique")
        return email


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = Group
        fields: ClassVar[list[str]] = ["name"]

    def clean_name(self) -> str:
        """Two groups that differ in case only would be mistaken for one another."""
        name = " ".join(str(self.cleaned_data["name"]).split())
        # Compared here: SQLite folds the case of ASCII only, and groups are few.
        others = Group.objects.exclude(id=self.instance.pk).values_list("name", flat=True)
        if name.lower() in {other.lower() for other in others}:
            raise forms.ValidationError(_("There is a group of this name."), code="unique")
        return name


class SegmentForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The name; the rule has an editor of its own (rule_editor.py)."""

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


class OptInForm(forms.Form):
    """How staff knows that the owner of a number wants SMS again."""

    why = forms.CharField(
        label=_("How did the owner of the number ask for it?"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class OwnPasswordForm(PasswordChangeForm):
    """The old one once more is no change: whoever gave it knows it."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        new = cleaned.get("new_password1")
        if new and new == cleaned.get("old_password"):
            self.add_error("new_password1", _("This is the old password. Choose another one."))
        return cleaned

    def save(self, commit: bool = True) -> User:
        """Nothing but the password: the rest may have been changed since the page was opened."""
        self.user.set_password(self.cleaned_data["new_password1"])
        self.user.must_change_password = False
        self.user.save(update_fields=["password", "must_change_password"])
        return self.user


class RoleForm(forms.Form):
    """The role, from those that may be given."""

    role = forms.ChoiceField(label=_("Role"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, roles: list[Role], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = forms.ChoiceField(
            label=_("Role"),
            widget=forms.RadioSelect,
            choices=[(role.value, role.label) for role in roles],
        )


class RightsForm(forms.Form):
    """A tick list of the rights that may be given."""

    def __init__(self, *args: Any, rights: list[Right], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["rights"] = forms.MultipleChoiceField(
            label=_("Rights"),
            required=False,
            help_text=_(
                "Whoever changes people sees them. Forbidding SMS and giving rights work only together"
                " with “See people”."
            ),
            widget=forms.CheckboxSelectMultiple,
            choices=[(right.value, right.label) for right in rights],
        )
