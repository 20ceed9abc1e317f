"""The simulator: a provider without a network, for trying smsmail out, and the example to copy.

Its "network" is the table SimulatedSms. The last two digits of a phone decide what becomes of its
messages (OUTCOMES). report_due() writes receipts some seconds later, as the webhook would.
"""

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from django import forms
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations.models import Account, Receipt, SimulatedSms
from integrations.reasons import Reason
from smsmail.jobs.moments import SKEW
from smsmail.jobs.periodic import nudge
from smsmail.jobs.set_aside import Work, in_halves, set_aside_ids
from smsmail.uptime import clock

from .base import Provider
from .contract import (
    Balance,
    DeliveryReport,
    DeliveryStatus,
    LookupItem,
    LookupRequest,
    Outcome,
    SendResult,
    Sms,
    WebhookPayload,
)


@dataclass(frozen=True, slots=True)
class SimulatedOutcome:
    """What becomes of a message. Without a status it is refused at once or, without a reason, never
    reported.
    """

    words: Promise
    status: DeliveryStatus | None
    reason: Reason | None = None


# Keyed by the last two digits of the phone; all other phones are delivered.
OUTCOMES: Mapping[str, SimulatedOutcome] = {
    "00": SimulatedOutcome(_("refused at once: no such format"), None, Reason.BAD_PHONE),
    "01": SimulatedOutcome(_("no such number"), DeliveryStatus.UNDELIVERED, Reason.NO_SUCH_NUMBER),
    "02": SimulatedOutcome(_("out of reach"), DeliveryStatus.UNDELIVERED, Reason.UNREACHABLE),
    "03": SimulatedOutcome(_("handset is full"), DeliveryStatus.UNDELIVERED, Reason.HANDSET),
    "04": SimulatedOutcome(
        _("operator refuses it"), DeliveryStatus.UNDELIVERED, Reason.OPERATOR_REFUSED
    ),
    "05": SimulatedOutcome(_("expires"), DeliveryStatus.EXPIRED, Reason.EXPIRED),
    "06": SimulatedOutcome(_("no receipt ever comes"), None),
}
DELIVERED = SimulatedOutcome(_("delivered"), DeliveryStatus.DELIVERED)

SOONEST, LATEST = 1.0, 6.0  # seconds from submission to receipt
REPORTING = Work("simulate", "sms")
REPORTED_AT_ONCE = 1000  # messages that one call of report_due() handles
IN_ONE_NOTE = 100  # reports in the body of one receipt


class Simulator(Provider):
    slug = "simulator"
    title = _("Simulator")
    description = _("Sends nothing: for trying everything out. Receipts come after some seconds.")
    fields: ClassVar[Mapping[str, forms.Field]] = {}
    batch = 500
    parallel = 4
    can_look_up = True
    books_show_kept = True
    books_are_sure = True
    can_cancel = True
    is_simulator = True
    has_balance = True

    def send(self, reference: str, messages: Sequence[Sms], deadline: float) -> list[SendResult]:
        if clock() >= deadline:
            return [
                SendResult(sms.key, Outcome.UNSENT, reason=Reason.UNAVAILABLE) for sms in messages
            ]
        if not self.gate.passes(messages):
            return [SendResult(sms.key, Outcome.UNSENT, withheld=True) for sms in messages]
        taken = [sms for sms in messages if not _refused(sms.phone)]
        try:
            with _own_connection(), transaction.atomic():
                SimulatedSms.objects.bulk_create([_row(reference, sms) for sms in taken])
        except DatabaseError as error:  # the table plays the network, and networks fail
            raw = f"simulator:{type(error).__name__}"
            return [
                SendResult(sms.key, Outcome.UNKNOWN, reason=Reason.NO_ANSWER, raw=raw)
                for sms in messages
            ]
        return [_result(sms) for sms in messages]

    def can_schedule(self, at: datetime) -> bool:
        return at > timezone.now()

    def look_up(self, lookups: Sequence[LookupRequest]) -> list[DeliveryReport]:
        with _own_connection():
            books = {
                (row.reference, row.phone): row
                for row in SimulatedSms.objects.filter(
                    reference__in={lookup.reference for lookup in lookups}
                ).only("reference", "phone", "report_at")
            }
        now = timezone.now()
        return [
            _news(lookup.reference, phone, books.get((lookup.reference, phone)), now)
            for lookup in lookups
            for phone in lookup.phones
        ]

    def cancel(self, reference: str, asked: Sequence[LookupItem]) -> list[DeliveryReport]:
        """Delete scheduled messages from the simulator's records."""
        phones = [each.phone for each in asked]
        scheduled = SimulatedSms.objects.filter(reference=reference, at__gt=timezone.now())
        with _own_connection(), transaction.atomic():
            rows = list(scheduled.filter(phone__in=phones).values_list("id", "phone"))
            SimulatedSms.objects.filter(id__in=[key for key, _phone in rows]).delete()
        return [DeliveryReport(reference, phone, DeliveryStatus.CANCELLED) for _key, phone in rows]

    def check_note(self, note: WebhookPayload) -> bool:
        """There is nothing to check: report_due() writes the receipts itself."""
        return True

    def read_receipts(self, note: WebhookPayload) -> list[DeliveryReport]:
        try:
            return [
                _report(told["reference"], told["phone"])
                for told in json.loads(note.body)["reports"]
            ]
        except (KeyError, TypeError) as error:
            raise ValueError("not a note of the simulator") from error

    def balance(self) -> Balance:
        return Balance(Decimal(10_000), settings.CURRENCY)


def report_due() -> bool:
    """Periodic job: write receipts for simulated messages that are due. True if more may be due."""
    now = timezone.now()
    # An unscheduled message never takes this long: it was accepted under a wrong clock.
    wrong = Q(scheduled=False, report_at__gt=now + timedelta(seconds=LATEST) + SKEW)
    due = SimulatedSms.objects.filter(Q(report_at__lte=now) | wrong, reported=False)
    due = due.exclude(id__in=set_aside_ids(REPORTING.name))
    # Without this query, SQLite would take its write lock every second.
    ids = list(due.order_by("report_at").values_list("id", flat=True)[:REPORTED_AT_ONCE])
    if ids:
        in_halves(REPORTING, ids, _report_these, lambda _id: f"account {Simulator.slug}")
    return len(ids) == REPORTED_AT_ONCE


def _report_these(ids: Sequence[int]) -> None:
    due = SimulatedSms.objects.filter(id__in=ids, reported=False)
    with transaction.atomic():
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        rows = list(due.order_by("report_at").only("reference", "phone"))
        account = Account.objects.filter(provider=Simulator.slug).first()
        if account is not None:
            Receipt.objects.bulk_create(_notes(account, rows))
        SimulatedSms.objects.filter(pk__in=[row.pk for row in rows]).update(reported=True)
        nudge("process_receipts")


def outcome_of(phone: str) -> SimulatedOutcome:
    return OUTCOMES.get(phone[-2:], DELIVERED)


def _refused(phone: str) -> bool:
    return outcome_of(phone).status is None and outcome_of(phone).reason is not None


def _row(reference: str, sms: Sms) -> SimulatedSms:
    spread = secrets.SystemRandom().uniform(SOONEST, LATEST)
    at = sms.at or timezone.now()
    return SimulatedSms(
        reference=reference,
        phone=sms.phone,
        text=sms.text,
        at=at,
        scheduled=sms.at is not None,
        report_at=at + timedelta(seconds=spread),
        reported=outcome_of(sms.phone).status is None,  # nothing will ever be reported
    )


def _result(sms: Sms) -> SendResult:
    if _refused(sms.phone):
        reason = outcome_of(sms.phone).reason
        return SendResult(
            sms.key, Outcome.REFUSED, reason=reason, raw=f"simulator:{sms.phone[-2:]}"
        )
    return SendResult(sms.key, Outcome.TAKEN)


def _news(reference: str, phone: str, row: SimulatedSms | None, now: datetime) -> DeliveryReport:
    if row is None:
        return DeliveryReport(reference, phone, DeliveryStatus.NOT_FOUND)
    if row.report_at > now:
        return DeliveryReport(reference, phone, DeliveryStatus.ACCEPTED)
    return _report(reference, phone)


def _report(reference: str, phone: str) -> DeliveryReport:
    outcome = outcome_of(phone)
    return DeliveryReport(
        reference,
        phone,
        outcome.status or DeliveryStatus.ACCEPTED,
        reason=outcome.reason,
        raw=f"simulator:{phone[-2:]}" if outcome.reason else "",
    )


def _notes(account: Account, rows: Sequence[SimulatedSms]) -> Iterator[Receipt]:
    for start in range(0, len(rows), IN_ONE_NOTE):
        reports = [
            {"reference": row.reference, "phone": row.phone}
            for row in rows[start : start + IN_ONE_NOTE]
        ]
        yield Receipt(account=account, body=json.dumps({"reports": reports}))


@contextlib.contextmanager
def _own_connection() -> Iterator[None]:
    """Close the connection that a pool's thread opened here, because nobody else would."""
    had_one = connection.connection is not None
    try:
        yield
    finally:
        if not had_one:
            connection.close()
