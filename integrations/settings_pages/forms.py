"""The settings form of an account, built from the fields of the provider's class.

Secrets are never written into a page: an empty field keeps the stored value.
"""

import copy
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.utils.formats import get_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import Account
from integrations.providers.base import Provider
from users.people.forms import PhoneField


class PriceField(forms.DecimalField):
    """Accepts a comma as the decimal point. Django's localised field would read 2,5 as 25 in
    English.
    """

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def clean(self, value: Any) -> Any:
        return super().clean(str(value or "").replace(",", ".").replace(" ", ""))


class AccountForm(forms.Form):
    """Credentials, sender name and price. `credentials` holds what is to be stored."""

    def __init__(
        self, *args: Any, provider: type[Provider], account: Account | None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        self.stored = account.credentials if account else {}
        for name, field in provider.fields.items():
            self.fields[name] = _with_stored(copy.deepcopy(field), self.stored.get(name, ""))
            if self.stored.get(name) and _is_secret(field) and not field.required:
                # Otherwise nobody could return from an API key to a password.
                label = _("Delete what is saved: %(field)s") % {"field": field.label}
                self.fields[f"forget_{name}"] = forms.BooleanField(label=label, required=False)
        if provider.fields:  # the simulator has no fields, and nobody sees its sender
            self.fields["sender"] = forms.CharField(
                label=gettext_lazy("Sender name"),
                max_length=20,
                required=False,
                initial=account.sender if account else "",
                help_text=cast(str, provider.sender_help),  # lazy, which Django accepts
            )
        self.fields["price"] = PriceField(
            label=gettext_lazy("Price of one SMS part"),
            min_value=Decimal(0),
            max_digits=10,
            decimal_places=4,
            initial=_plain(account.price) if account else None,
            help_text=gettext_lazy("For reckoning the cost before a mailing starts."),
        )
        self.fields |= _limits(provider, account)

    def clean_sender(self) -> str:
        sender = str(self.cleaned_data["sender"])
        error = self.provider.check_sender(sender)
        if error:
            raise forms.ValidationError(error)
        return sender

    def clean(self) -> dict[str, Any]:
        sender = str(self.cleaned_data.get("sender") or "")
        error = self.provider.credentials_error(self.credentials | {"sender": sender})
        if error and not self.errors:
            raise forms.ValidationError(error)
        return self.cleaned_data

    @property
    def credentials(self) -> dict[str, str]:
        """Return what was typed; for an empty field, the stored value unless it is to be deleted."""
        typed = {name: str(self.cleaned_data.get(name) or "") for name in self.provider.fields}
        filled_in = {name: value or self._stored(name) for name, value in typed.items()}
        # A provider without fields can be connected too, but {} would mean that it is not.
        return {name: value for name, value in filled_in.items() if value} or {"connected": "yes"}

    def _stored(self, name: str) -> str:
        return "" if self.cleaned_data.get(f"forget_{name}") else self.stored.get(name, "")


class AccountTryForm(forms.Form):
    """A test message to oneself, to see whether the service works."""

    phone = PhoneField(label=gettext_lazy("Your phone"), required=True)
    text = forms.CharField(
        label=gettext_lazy("Text"),
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 2}),
        initial=gettext_lazy("A test of smsmail"),
        help_text=gettext_lazy(
            "Some services only take texts that they have approved: then write one of those."
        ),
    )


def _limits(provider: type[Provider], account: Account | None) -> dict[str, forms.Field]:
    """Optional limits: an empty field means that we set none."""
    fields: dict[str, forms.Field] = {
        "per_second": forms.IntegerField(
            label=gettext_lazy("Messages a second, at most"),
            required=False,
            min_value=0,
            max_value=100_000,
            initial=(account.per_second or None) if account else None,
            help_text=gettext_lazy(
                "Empty: as fast as the service takes them. Enter the number of your contract, or a smaller one if the service asks to go slower."
            ),
        )
    }
    if provider.parallel > 1:
        fields["parallel"] = forms.IntegerField(
            label=gettext_lazy("Lots handed over at once"),
            required=False,
            min_value=1,
            max_value=provider.parallel,
            initial=account.parallel if account else provider.parallel,
            help_text=_(
                "From 1 to %(most)s. Fewer are gentler on the service, and slower. Of several, the last"
                " is kept free for notifications."
            )
            % {"most": provider.parallel},
        )
    if provider.has_balance:
        fields["warn_below"] = PriceField(
            label=gettext_lazy("Warn when the balance is below"),
            required=False,
            min_value=Decimal(0),
            max_digits=14,
            decimal_places=4,
            initial=_plain(account.warn_below)
            if account and account.warn_below is not None
            else None,
            help_text=gettext_lazy("Empty: no warning."),
        )
    return fields


def _is_secret(field: forms.Field) -> bool:
    return isinstance(field.widget, forms.PasswordInput)


def _with_stored(field: forms.Field, stored: str) -> forms.Field:
    if not stored:
        return field
    if isinstance(field, forms.ChoiceField):
        field.initial = stored
        return field
    field.required = False
    if _is_secret(field):
        field.help_text = _("Saved. Leave it empty to keep it.")
    else:
        # The last four characters help to tell two logins apart; of a short value they would reveal
        # too much.
        tail = stored[-4:] if len(stored) > 7 else stored[-1:]
        field.help_text = format_html(_("Saved, ends with …{}. Leave it empty to keep it."), tail)
    return field


def _plain(price: Decimal) -> str:
    """Return 2.5 or, where people write it so, 2,5."""
    whole, _point, rest = f"{price:f}".partition(".")
    rest = rest.rstrip("0")
    return f"{whole}{get_format('DECIMAL_SEPARATOR')}{rest}" if rest else whole
