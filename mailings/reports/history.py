"""The history of a mailing in words, from the audit log: what people did to it and what stopped it. Reads
only.
"""

from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.reasons import Reason
from mailings.models import Mailing
from users.models import AuditEvent, User
from users.segments import rules

HISTORY: dict[str, Promise] = {
    "written": _("Draft written"),
    "changed": _("Draft changed"),
    "asked": _("Launch asked for: a second person must confirm it"),
    "taken_back": _("Taken back: a draft again"),
    "withdrawn": _("Launch taken back: a draft again"),
    "sent_back": _("Not confirmed: sent back to the drafts"),
    "launched": _("Launched"),
    "launched_urgent": _("Launched as urgent: quiet hours do not hold it"),
    "event_added": _("Notification added"),
    "text_changed": _("Notification changed"),
    "switched_on": _("Switched on"),
    "switched_off": _("Switched off"),
    "paused": _("Paused"),
    "resumed": _("Resumed"),
    "cancelled": _("Cancelled"),
    "recalled": _("The service was asked to give back what it kept"),
    "watching_stopped": _("Watching stopped: nobody new is taken"),
    "links_revoked": _("Sign-in links revoked"),
    "test_sent": _("Test message sent"),
    "let_be": _("Messages of unknown fate let be"),  # unresolved.close_unknown()
    "set_aside": _("Something about it failed, and is tried again"),
    "set_aside_over": _("What had failed has been done"),
    "messages_removed": _("Messages and clicks removed, because it ended long ago"),
    "sent_again": _("Messages of unknown fate sent again"),
}


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of the history; `by` is None for what happened automatically."""

    at: datetime
    words: str | Promise
    by: User | None


def history(mailing: Mailing) -> list[HistoryLine]:
    """Return the latest 20 lines of the history, the newest first."""
    rows = AuditEvent.objects.filter(target=f"mailing {mailing.pk}").select_related("by")
    return [HistoryLine(row.at, _words(row), row.by) for row in rows.order_by("-id")[:20]]


def _words(row: AuditEvent) -> str | Promise:
    if row.what == "halted":
        return gettext("Paused automatically: %(why)s") % {"why": _why(row.details.get("reason"))}
    if row.what != "rule_changed":
        return HISTORY.get(row.what, row.what)
    try:
        rule = rules.sentence(rules.read(row.details.get("now")))
    except rules.BadRule:  # something that the rule names was deleted since
        return gettext("The rule was changed")
    return gettext("The rule was changed, and counts from then on: %(rule)s") % {"rule": rule}


def _why(reason: str | None) -> str | Promise:
    if reason is None or reason not in set(Reason):
        return gettext("no reason was written down")
    return Reason(reason).about.title
