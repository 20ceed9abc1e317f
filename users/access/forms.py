"""Forms for sign-in, passwords, roles and rights. staff.py decides who may use them."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.utils.translation import gettext_lazy as _

from users.models import User
from users.rights import Right, Role

from . import public_password

LONGEST_PASSWORD = 4096  # characters; Django's form for a new password has the same limit


class SignInForm(AuthenticationForm):
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def clean_username(self) -> str:
        """Lower-case the e-mail before failures are counted: otherwise each spelling would get its
        own five tries.
        """
        return str(self.cleaned_data["username"]).strip().lower()

    def get_invalid_login_error(self) -> forms.ValidationError:
        """Django's default message says that the e-mail is case-sensitive; here it is not."""
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
    """Asks a signed-in user for the password once more."""

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=LONGEST_PASSWORD,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class OwnPasswordForm(PasswordChangeForm):
    """Refuses the old password as the new one: whoever gave the person that password knows it."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        new = cleaned.get("new_password1")
        if new and new == cleaned.get("old_password"):
            self.add_error("new_password1", _("This is the old password. Choose another one."))
        return cleaned

    def save(self, commit: bool = True) -> User:
        """Save only the password columns: other columns may have changed since the page was opened."""
        self.user.set_password(self.cleaned_data["new_password1"])
        self.user.must_change_password = False
        self.user.save(update_fields=["password", "must_change_password"])
        return self.user


class RoleForm(forms.Form):
    """The role of a person, chosen from those that the signed-in user may give."""

    role = forms.ChoiceField(label=_("Role"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, roles: list[Role], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = forms.ChoiceField(
            label=_("Role"),
            widget=forms.RadioSelect,
            choices=[(role.value, role.label) for role in roles],
        )


class RightsForm(forms.Form):
    """A tick list of the rights that the signed-in user may give."""

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
