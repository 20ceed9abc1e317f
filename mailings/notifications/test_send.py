"""The page that sends a test of a mailing: whose values fill the text, and which phone it goes to.
send.py sends it.
"""

from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailings.models import Mailing
from smsmail.web.query import search_text
from smsmail.web.refusals import shows_refusals
from users.access.authenticated import AuthenticatedRequest
from users.models import User
from users.parsing import phones
from users.people import search
from users.rights import Right, require_right

from . import send, test_limits

FOUND = 5  # people offered; typing more narrows them down
TO_NUMBER, TO_THEM = "number", "them"


class TestForm(forms.Form):
    """Asks whose values fill the text (the reader's or a found person's), and where it goes: to a number,
    or to that person's phone. `q` and `find` search for people; only users who may see people get
    them.
    """

    q = forms.CharField(
        label=gettext_lazy("As another person would get it"),
        help_text=gettext_lazy("Name, e-mail or phone. Empty: with your own name and values."),
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )
    person = forms.ChoiceField(
        label=gettext_lazy("As whom"),
        widget=forms.RadioSelect,
        error_messages={
            "required": gettext_lazy("Choose whose name and values stand in the text."),
            "invalid_choice": gettext_lazy("Choose among those who are found now."),
        },
    )
    to = forms.ChoiceField(
        label=gettext_lazy("Where to"),
        choices=[
            (TO_NUMBER, gettext_lazy("To the number below")),
            (TO_THEM, gettext_lazy("To that person's phone")),
        ],
        required=False,
        widget=forms.RadioSelect,
    )
    phone = forms.CharField(
        label=gettext_lazy("Phone"),
        max_length=64,
        required=False,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel"}),
    )

    def __init__(self, data: Any, reader: User, typed: Any = None) -> None:
        """`typed`: the values typed when only `find` was pressed; none of them is validated yet."""
        initial = {"phone": reader.phone, "to": TO_NUMBER}
        if typed is not None:
            initial |= {name: typed[name] for name in self.base_fields if name in typed}
        super().__init__(data, initial=initial, label_suffix="")
        self.reader = reader
        self.found: list[User] = []
        if not reader.may(Right.SEE_PEOPLE):
            del self.fields["q"]
        q = search_text(str(self["q"].value() or "")) if "q" in self.fields else ""
        if not q:
            del self.fields["person"], self.fields["to"]
            return
        people = search.find(search.PeopleQuery(q=q)).filter(is_active=True)
        self.found = list(people.exclude(pk=reader.pk)[:FOUND])
        me = (str(reader.pk), _("%(name)s (you)") % {"name": reader.name})
        choices = [(str(each.pk), _named(each)) for each in self.found]
        self.fields["person"].choices = [*choices, me]  # type: ignore[attr-defined]
        if len(choices) == 1:
            self.initial.setdefault("person", choices[0][0])

    def clean_phone(self) -> str:
        typed: str = self.cleaned_data["phone"]
        if self.data.get("to") == TO_THEM and "to" in self.fields:
            return ""
        if not typed:
            raise forms.ValidationError(_("Which number should it go to?"))
        try:
            return phones.normalize(typed, settings.DEFAULT_COUNTRY)
        except phones.BadPhone as bad:
            raise forms.ValidationError(bad.error.label) from bad

    @property
    def whose(self) -> User:
        """Return whose values fill the text. The form must be valid."""
        chosen = self.cleaned_data.get("person", "")
        return next((each for each in self.found if str(each.pk) == chosen), self.reader)

    @property
    def to_them(self) -> bool:
        return self.cleaned_data.get("to") == TO_THEM


@require_right(Right.SEND_MAILINGS)
@shows_refusals(send.NotSent, on="mailing")
def test(request: AuthenticatedRequest, pk: int) -> HttpResponse:
    """Ask first, then send. With `find` it only searches for people, and keeps what was typed."""
    row = get_object_or_404(Mailing.objects.listed(), pk=pk)
    finds = "find" in request.POST
    if finds:
        form = TestForm(None, request.user, request.POST)
    else:
        form = TestForm(request.POST or None, request.user)
    if request.method != "POST" or finds or not form.is_valid():
        context = {
            "mailing": row,
            "back": reverse("mailing", args=[pk]),
            "form": form,
            "nobody": "person" in form.fields and not form.found,
            "left": test_limits.left_for(request.user),
        }
        return render(request, "mailings/notifications/ask_test.html", context)
    whose = form.whose
    if form.to_them:
        message = send.send_test(row, whose, request.user, whose.phone)
    else:
        phone = form.cleaned_data["phone"]
        # Typed by hand or not: a phone of theirs is theirs, and so is their ban.
        to = whose if phone == whose.phone else request.user
        message = send.send_test(row, to, request.user, phone, whose)
    return redirect("message", pk=message.pk)


def _named(person: User) -> str:
    return " · ".join(filter(None, [person.name, person.email, person.phone or _("no phone")]))
