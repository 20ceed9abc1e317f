"""The owner's page about a restored copy of the database: what is known of it, what the providers'
records show, and the decision about every unfinished mailing.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.formats import date_format, localize
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.routing import routing
from mailings.errors import WrongState
from mailings.models import Restoration
from smsmail.web import query
from users.access.authenticated import AuthenticatedRequest
from users.rights import Role

from . import decision
from .books import open_restoration
from .decision import WORDS, UnfinishedMailing


class DecisionForm(forms.Form):
    """One question for each unfinished mailing; no answer is preselected."""

    def __init__(self, lines: list[UnfinishedMailing], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for line in lines:
            self.fields[f"mailing_{line.mailing.pk}"] = forms.ChoiceField(
                label=line.mailing.name,
                help_text=_numbers(line),
                choices=[(spec, WORDS[spec]) for spec in line.choices],
                widget=forms.RadioSelect,
            )

    @property
    def chosen(self) -> dict[int, str]:
        """The choices by mailing id."""
        return {
            int(name.removeprefix("mailing_")): spec for name, spec in self.cleaned_data.items()
        }


def restored(request: AuthenticatedRequest) -> HttpResponse:
    """Show the page, and carry out its actions on POST. Only the owner may use it, not everybody with
    Right.ACCOUNT.
    """
    if request.user.role != Role.OWNER:
        raise PermissionDenied
    restoration = open_restoration()
    if request.method == "POST":
        return _act(request, restoration)
    return _page(request, restoration)


def _act(request: AuthenticatedRequest, restoration: Restoration | None) -> HttpResponse:
    what = request.POST.get("what", "")
    if restoration is None:
        if what == "say":
            decision.say_restored(request.user)
            messages.success(request, _("Everything is held until you have decided."))
        return redirect("restored")
    if what == "decide":
        return _decide(request, restoration)
    if what == "ask_again":
        decision.ask_again(restoration, request.user)
    elif what == "waive":
        key = query.number(request.POST.get("sweep", "")) or 0
        sweep = get_object_or_404(restoration.sweeps.select_related("account"), pk=key)
        decision.waive(sweep, request.user)
    return redirect("restored")


def _decide(request: AuthenticatedRequest, restoration: Restoration) -> HttpResponse:
    form = DecisionForm(decision.under_way(restoration), request.POST)
    if not form.is_valid():
        return _page(request, restoration, form)
    try:
        decision.decide(restoration, form.chosen, request.user)
    except decision.NotNow:
        messages.error(request, _("The services have not told everything yet. Look once more."))
    except (decision.Undecided, WrongState):
        messages.error(request, _("Something has changed meanwhile. Look once more."))
    else:
        messages.success(request, _("It is decided. What you chose to send goes on by itself."))
        return redirect("dashboard")
    return redirect("restored")


def _page(
    request: AuthenticatedRequest, restoration: Restoration | None, form: DecisionForm | None = None
) -> HttpResponse:
    context: dict[str, Any] = {"restoration": restoration}
    if restoration is not None:
        lines = decision.under_way(restoration)
        context |= {
            "services": [
                (routing.provider_class(each.account.provider).title, each)
                for each in decision.services(restoration)
            ],
            "cannot_tell": decision.cannot_tell(restoration),
            "unclaimed": decision.unclaimed(restoration),
            "left": sum(line.left for line in lines),
            "lines": lines,
            "form": form or DecisionForm(lines),
        }
    return render(request, "mailings/restoration/restored.html", context)


def _numbers(line: UnfinishedMailing) -> str:
    words = ngettext(
        "%(n)s message is not sent, as far as is known.",
        "%(n)s messages are not sent, as far as is known.",
        line.left,
    ) % {"n": localize(line.left)}
    if line.unknown:
        more = ngettext(
            "%(n)s more may or may not have gone; the service is asked.",
            "%(n)s more may or may not have gone; the service is asked.",
            line.unknown,
        )
        words += f" {more % {'n': localize(line.unknown)}}"
    if line.told_from is not None:
        later = _(
            "The service may keep some of it until the time set, and shows that only from %(at)s on. "
            "Ask again then, or send nothing more of it."
        )
        words += f" {later % {'at': date_format(localtime(line.told_from), 'DATETIME_FORMAT')}}"
    return words
