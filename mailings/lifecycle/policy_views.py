"""The page "Sending": the owner's settings for all mailings (Policy). Their effect is described
where they are applied, for example in approval.py, start.py, audience/frequency_cap.py and
sending/send_times.py.
"""

import re
from datetime import datetime, time
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from mailings.models import Policy
from mailings.models.policy import CODES_A_DAY
from users.access.authenticated import AuthenticatedRequest
from users.models import AuditEvent, User, audit
from users.parsing import phone_classes
from users.rights import Right, require_right

from . import approval

MOST_MESSAGES, MOST_DAYS = 100, 365
MOST_PEOPLE = 100_000_000
LAST_CHANGES = 10


class PolicySection(NamedTuple):
    """A section of the form: its slug, its heading, the names of its fields, and a help text."""

    slug: str
    title: str | Promise
    names: list[str]
    help: str | Promise = ""


def _number() -> forms.NumberInput:
    return forms.NumberInput(attrs={"inputmode": "numeric"})


def _time() -> forms.TimeInput:
    return forms.TimeInput(format="%H:%M", attrs={"type": "time"})


class RulesForm(forms.Form):
    """The settings of the page, in its order and in the words of a manager."""

    two_people_above = forms.IntegerField(
        label=gettext_lazy("Second person needed above, people"),
        help_text=gettext_lazy(
            "A mailing to more people than this goes only after somebody else has looked at it and"
            " confirmed. 0: every mailing. Empty: one person is enough."
        ),
        min_value=0,
        max_value=MOST_PEOPLE,
        required=False,
        widget=_number(),
    )
    countdown = forms.IntegerField(
        label=gettext_lazy("Pause before the first message, seconds"),
        help_text=gettext_lazy(
            "So long after “Launch” nothing leaves yet, and the mailing can be stopped without a"
            " single SMS. Up to 600; 0: it leaves at once."
        ),
        min_value=0,
        max_value=600,
        widget=_number(),
    )
    cap_messages = forms.IntegerField(
        label=gettext_lazy("No more SMS to one phone than"),
        min_value=1,
        max_value=MOST_MESSAGES,
        required=False,
        widget=_number(),
    )
    cap_days = forms.IntegerField(
        label=gettext_lazy("In so many days"),
        min_value=1,
        max_value=MOST_DAYS,
        required=False,
        widget=_number(),
    )
    quiet_from = forms.TimeField(
        label=gettext_lazy("Quiet hours from"),
        required=False,
        widget=_time(),
    )
    quiet_until = forms.TimeField(
        label=gettext_lazy("Quiet hours until"), required=False, widget=_time()
    )
    early_hours = forms.IntegerField(
        label=gettext_lazy("Hand over beforehand, hours"),
        help_text=gettext_lazy(
            "A mailing with a time set is handed to the SMS service so long before, so that it"
            " arrives at the minute; from then on it can only be stopped as far as the service"
            " allows. Up to 72; 0: at the time itself."
        ),
        min_value=0,
        max_value=72,
        widget=_number(),
    )
    grace_minutes = forms.IntegerField(
        label=gettext_lazy("Still send when late by up to, minutes"),
        help_text=gettext_lazy(
            "If smsmail was switched off at the time set, the mailing still goes when it is no"
            " later than this. Later it is held, and asks whether to go. Up to 1440, which is a day."
        ),
        min_value=0,
        max_value=1440,
        widget=_number(),
    )

    one_tap = forms.BooleanField(
        label=gettext_lazy("Sign-in links always ask for one tap"),
        help_text=gettext_lazy(
            "Otherwise the page opens by itself on a phone that is being looked at. Everywhere else it"
            " always takes one tap, so that a program that checks links is not signed in."
        ),
        required=False,
    )
    sms_countries = forms.CharField(
        label=gettext_lazy("Only to these countries"),
        help_text=gettext_lazy(
            "Two letters each, as RU, KZ, BY. Empty: to every country. Satellite, premium rate,"
            " freephone and the like never get any SMS."
        ),
        max_length=1000,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    mobile_only = forms.BooleanField(
        label=gettext_lazy("Not to landlines and numbers of internet telephony"), required=False
    )
    codes_a_day = forms.IntegerField(
        label=gettext_lazy("Codes in 24 hours, at most"),
        help_text=gettext_lazy(
            "By a code people confirm their number. Each costs what an SMS costs, and anybody who may"
            " sign in can ask for one. Empty: 500."
        ),
        min_value=0,
        max_value=1_000_000,
        required=False,
        widget=_number(),
    )

    # Two fields of one section stand side by side, under one help text for both.
    parts: ClassVar = [
        PolicySection(
            "launch", pgettext_lazy("settings", "Launch"), ["two_people_above", "countdown"]
        ),
        PolicySection(
            "cap",
            gettext_lazy("How often"),
            ["cap_messages", "cap_days"],
            gettext_lazy(
                "Whoever has had so many is left out of the next mailing. Tests and notifications"
                " do not count. Empty: no limit."
            ),
        ),
        PolicySection(
            "quiet",
            gettext_lazy("Quiet hours"),
            ["quiet_from", "quiet_until"],
            gettext_lazy(
                "In quiet hours no mailing reaches a phone: it waits for their end. Only one marked"
                " “urgent” does not. The night may lie between: from 21:00 until 9:00. Both empty:"
                " no quiet hours."
            ),
        ),
        PolicySection("tap", gettext_lazy("Sign-in links"), ["one_tap"]),
        PolicySection("time", gettext_lazy("A time set"), ["early_hours", "grace_minutes"]),
        PolicySection(
            "where",
            gettext_lazy("Where SMS and codes go"),
            ["sms_countries", "mobile_only", "codes_a_day"],
        ),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)

    @property
    def sections(self) -> list[tuple[PolicySection, list[forms.BoundField]]]:
        """The sections of the form with their fields."""
        return [(part, [self[name] for name in part.names]) for part in self.parts]

    def clean_sms_countries(self) -> list[str]:
        """Return the country codes, sorted."""
        written = re.findall(r"[^\W_]+", str(self.cleaned_data["sms_countries"]).upper())
        unknown = [each for each in written if each not in phone_classes.COUNTRIES]
        if unknown:
            words = _("There is no country “%(country)s”. Write two letters, as RU.")
            raise forms.ValidationError(words % {"country": unknown[0][:20]})
        return sorted(set(written))

    def clean_codes_a_day(self) -> int:
        """Return the limit; CODES_A_DAY for an empty field."""
        said: int | None = self.cleaned_data["codes_a_day"]
        return CODES_A_DAY if said is None else said

    def clean(self) -> dict[str, Any]:
        """Check fields that belong together: the cap and its days, and both ends of the quiet hours."""
        said = super().clean() or {}
        if said.get("cap_messages") and not said.get("cap_days") and "cap_days" not in self.errors:
            self.add_error("cap_days", _("In how many days? 1 is the last 24 hours."))
        if "cap_days" not in self.errors:
            said["cap_days"] = said.get("cap_days") or 1
        if not {"quiet_from", "quiet_until"} & set(self.errors):
            self._check_quiet(said)
        return said

    def _check_quiet(self, said: dict[str, Any]) -> None:
        begin, end = said.get("quiet_from"), said.get("quiet_until")
        if begin is None and end is not None:
            self.add_error("quiet_from", _("From when? Leave both empty for no quiet hours."))
        elif end is None and begin is not None:
            self.add_error("quiet_until", _("Until when? Leave both empty for no quiet hours."))
        elif begin is not None and begin == end:
            self.add_error(
                "quiet_until",
                _("They end when they begin: is it all day or never? Choose another."),
            )


NAMES = tuple(RulesForm.base_fields)


class PolicyChange(NamedTuple):
    """One line of the history: the settings that were changed. It does not show the values; the form
    shows the current ones.
    """

    at: datetime
    by: User | None
    words: str


@require_right(Right.ACCOUNT)
def sending_settings(request: AuthenticatedRequest) -> HttpResponse:
    """Show the settings with their history, and save them on POST."""
    if request.method == "POST":
        form = RulesForm(request.POST)
        if form.is_valid():
            save(form.cleaned_data, request.user)
            messages.success(request, _("Saved. It holds from now on."))
            return redirect("sending-settings")
    else:
        stored = Policy.current()
        initial = {name: getattr(stored, name) for name in NAMES}
        initial["sms_countries"] = ", ".join(stored.sms_countries)
        form = RulesForm(initial=initial)
    context = {
        "form": form,
        "changes": _changes(),
        "zone": settings.TIME_ZONE,
        "launchers": approval.launchers(),
        "limit": Policy.current().two_people_above,
    }
    return render(request, "mailings/lifecycle/sending_settings.html", context)


def save(said: dict[str, Any], by: User) -> None:
    """Save the settings of a valid form that have changed, and log the change. Other columns of the row
    stay untouched, because somebody may revoke all links at the same time.
    """
    with transaction.atomic():
        Policy.objects.get_or_create(id=1)
        row = Policy.objects.select_for_update(no_key=True).get(id=1)
        changed = {
            name: [_written(getattr(row, name)), _written(said[name])]
            for name in NAMES
            if getattr(row, name) != said[name]
        }
        if not changed:
            return
        Policy.objects.filter(id=1).update(**{name: said[name] for name in changed})
        audit(by, "policy_changed", "policy", changed=changed)


def _written(value: Any) -> Any:
    """Convert a value for JSON: a time becomes "21:00"."""
    return value.strftime("%H:%M") if isinstance(value, time) else value


def _changes() -> list[PolicyChange]:
    rows = AuditEvent.objects.filter(target="policy").select_related("by").order_by("-id")
    return [PolicyChange(row.at, row.by, _in_words(row)) for row in rows[:LAST_CHANGES]]


def _in_words(row: AuditEvent) -> str:
    if row.what == "links_revoked":
        return _("All sign-in links revoked")
    labels = [str(RulesForm.base_fields[name].label) for name in row.details.get("changed", {})]
    return _("Changed: %(what)s") % {"what": "; ".join(labels)}
