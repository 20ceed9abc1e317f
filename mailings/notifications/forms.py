"""The form of a notification, and the form that says to whom a trial message goes."""

import re
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailings.audience.personalization import parsed
from mailings.composing import link_options
from mailings.composing.forms import place_of
from mailings.models import Mailing
from mailings.text import template as text
from mailings.text import wrapping as links
from mailings.text.wrapping import Wrapping
from users.models import OwnField, User
from users.rights import Right

from . import registry

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
MOST = 10  # at most so many values that an event brings


class NotificationForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The form of a notification. The event's name is set once. The values of a built-in event cannot be
    changed.
    """

    brought = forms.CharField(
        label=gettext_lazy("What the event brings"),
        required=False,
        max_length=500,
        help_text=gettext_lazy(
            "Names in Latin letters, separated by commas, as the program that raises it calls them:"
            " number, date. In the text they stand in braces: {number}."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    sign_in_days = link_options.lifetime_field()

    class Meta:
        model = Mailing
        fields = ("name", "event", "brought", "text", *link_options.LABELS)
        labels: ClassVar = {
            "name": gettext_lazy("Name"),
            "event": gettext_lazy("Event"),
            "text": gettext_lazy("Text"),
            **link_options.LABELS,
        }
        help_texts: ClassVar = {
            "name": gettext_lazy("For you and your colleagues. Recipients do not see it."),
            "event": gettext_lazy(
                "The name by which programs raise it, in Latin letters, like order_paid. It cannot be"
                " changed later."
            ),
            **link_options.HELP,
        }
        widgets: ClassVar = {
            "name": forms.TextInput(attrs={"autocomplete": "off"}),
            "event": forms.TextInput(attrs={"autocomplete": "off"}),
            "text": forms.Textarea(attrs={"rows": 5}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.fields["text"].required = True
        self.fields["event"].required = True
        self.initial["brought"] = ", ".join(self.instance.event_values)
        if self.instance.pk:
            del self.fields["event"]
        if self.instance.event in registry.BUILT_IN:
            del self.fields["brought"]

    def clean_event(self) -> str:
        event = str(self.cleaned_data["event"])
        if not NAME.fullmatch(event):
            raise forms.ValidationError(
                _("Small Latin letters, digits and _, a letter first: order_paid.")
            )
        if event in registry.BUILT_IN or Mailing.objects.filter(event=event).exists():
            raise forms.ValidationError(_("There is an event of this name."), code="unique")
        return event

    def clean_brought(self) -> list[str]:
        names = list(dict.fromkeys(re.split(r"[\s,;]+", self.cleaned_data["brought"].strip())))
        names = [name for name in names if name]
        for name in names:
            if not NAME.fullmatch(name):
                words = _("“%(name)s”: small Latin letters, digits and _, a letter first.")
                raise forms.ValidationError(words % {"name": name})
            if name in text.VARIABLES or OwnField.objects.filter(slug=name).exists():
                words = _("“%(name)s” is a variable of the person. Choose another name.")
                raise forms.ValidationError(words % {"name": name})
        if len(names) > MOST:
            raise forms.ValidationError(_("At most %(n)s names.") % {"n": MOST})
        return names

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "text" in cleaned and "brought" not in self.errors:
            self._check_text(cleaned["text"])
        return cleaned

    def _check_text(self, written: str) -> None:
        try:
            template = parsed(written, brought=self.names)
            self._check_links(links.wrap(written, self.wrapping))
        except text.BadText as error:
            self.fields["text"].widget.attrs["data-wrong-at"] = error.position
            self.add_error("text", place_of(written, error))
            return
        for name in registry.required_in(self.instance):
            if name not in template.names:
                words = _("{%(name)s} must stand in this text: without it nobody can go on.")
                self.add_error("text", words % {"name": name})

    def _check_links(self, wrapped: links.Wrapped) -> None:
        """Refuse variables of the event in short links: the target is computed at the click, from
        the person's values.
        """
        for place in wrapped.places:
            lost = set(text.names_in(place.url)) & set(self.names)
            if place.purpose is not None and lost:
                words = _(
                    "{%(name)s} comes with the event and is not kept: a link that becomes short cannot"
                    " have it. Take it out of the link, or do not wrap links."
                )
                self.add_error("text", words % {"name": lost.pop()})
                return

    def save(self, commit: bool = True) -> Mailing:
        self.instance.event_values = self.names
        changed: Mailing = super().save(commit)
        return changed

    @property
    def names(self) -> list[str]:
        """Return the names of the values that the event brings, as far as the form is filled in."""
        if not self.is_bound or "brought" not in self.fields:
            return list(self.instance.event_values)
        if not hasattr(self, "cleaned_data"):
            self.is_valid()
        return list(self.cleaned_data.get("brought", self.instance.event_values))

    @property
    def written(self) -> str:
        """Return the text as it is in the field, valid or not."""
        return str(self["text"].value() or "")

    @property
    def wrapping(self) -> Wrapping:
        """Return which links become short, as far as the form is filled in."""
        stored: Wrapping = self.instance.wrapping
        if not self.is_bound:
            return stored
        return Wrapping.chosen(
            clicks=bool(self["wrap_links"].data),
            sign_in=bool(self["links_sign_in"].data),
            known=stored.known,
        )


class NotificationTryForm(forms.Form):
    """Asks to whom a trial message goes, and which values the event would bring."""

    email = forms.CharField(
        label=gettext_lazy("E-mail of the person"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, samples: dict[str, str], reader: User, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        kwargs["initial"] = {"email": reader.email}
        super().__init__(*args, **kwargs)
        self.samples, self.reader = samples, reader
        for name, sample in samples.items():
            label = f"{{{name}}}"
            self.fields[f"value_{name}"] = forms.CharField(
                label=label, required=False, initial=sample, max_length=text.VALUE_LIMIT
            )

    def clean_email(self) -> User:
        email = self.cleaned_data["email"].strip().lower()
        if email != self.reader.email and not self.reader.may(Right.SEE_PEOPLE):
            # The answer is the same whether or not such a person exists.
            raise forms.ValidationError(_("You may not see people: send it to yourself."))
        person = User.objects.filter(email=email).first()
        if person is None:
            raise forms.ValidationError(_("There is nobody with this e-mail."))
        return person

    @property
    def values(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(f"value_{name}", "") for name in self.samples}
