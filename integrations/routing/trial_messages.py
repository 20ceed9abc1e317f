"""Test messages from a service's settings page, and what became of the latest ones. They belong to no
mailing, so receipts find no message for them; the prefix of their reference identifies them.
"""

import secrets
from collections.abc import Mapping, Sequence

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from integrations.models import Account, Stray
from integrations.providers.contract import DeliveryReport, DeliveryStatus, Outcome, SendResult

PREFIX = "try"
SHOWN = 3
WORDS: Mapping[str, tuple[str, str, Promise]] = {  # tone, icon and text of a badge
    Outcome.TAKEN: ("live", "check", _("Taken by the service, no report yet")),
    Outcome.UNKNOWN: ("warn", "question", pgettext_lazy("message", "Unknown")),
    Outcome.REFUSED: ("bad", "forbid", pgettext_lazy("message", "Refused")),
    DeliveryStatus.ACCEPTED: ("live", "check", _("Taken by the service, no report yet")),
    DeliveryStatus.DELIVERED: ("good", "double-check", pgettext_lazy("message", "Delivered")),
    DeliveryStatus.UNDELIVERED: ("bad", "cross", pgettext_lazy("message", "Not delivered")),
    DeliveryStatus.EXPIRED: ("bad", "clock", pgettext_lazy("message", "Expired")),
    DeliveryStatus.CANCELLED: ("quiet", "stop", pgettext_lazy("message", "Cancelled")),
}
_OPEN = [str(Outcome.TAKEN), str(Outcome.UNKNOWN), str(DeliveryStatus.ACCEPTED)]


def new_reference() -> str:
    return f"{PREFIX}{secrets.token_hex(10)}"


def keep(stray: Stray, result: SendResult) -> None:
    """Store the provider's immediate result. A receipt may have arrived before it."""
    Stray.objects.filter(id=stray.pk, status="").update(
        status=result.outcome, reason=result.reason or ""
    )
    if result.provider_id:
        Stray.objects.filter(id=stray.pk).update(provider_id=result.provider_id)


def hear(reports: Sequence[DeliveryReport]) -> set[str]:
    """Apply reports about test messages and return the references that are ours. A final status
    stays.
    """
    about = {each.reference: each for each in reports if each.reference.startswith(PREFIX)}
    if not about:
        return set()
    found = Stray.objects.filter(reference__in=about).values_list("reference", "phone")
    ours = {reference for reference, phone in found if about[reference].phone == phone}
    for reference in ours:  # few: a person presses a button for each
        report = about[reference]
        Stray.objects.filter(reference=reference, status__in=["", *_OPEN]).update(
            status=report.status, reason=report.reason or ""
        )
    return ours


def latest(account: Account | None) -> "QuerySet[Stray]":
    tests = Stray.objects.filter(account=account, reference__startswith=PREFIX)
    return tests.order_by("-at")[:SHOWN] if account else tests.none()
