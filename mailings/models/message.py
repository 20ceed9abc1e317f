"""Messages, one row per recipient, and the counters of a mailing. Nothing here changes a status:
only sending/ledger.py does.
"""

from decimal import Decimal
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

from integrations.reasons import About, Reason
from mailings.text import markers
from mailings.text.sealed import hidden

from .mailing import Batch, Mailing

# The provider accepted it and holds it until the scheduled time: it has not left yet.
AT_THE_SERVICE = pgettext_lazy("message", "At the service, waits for its time")


class MessageQuerySet(models.QuerySet["Message"]):
    """Named filters by status."""

    def waiting(self) -> Self:
        return self.filter(status=Message.Status.WAITING)

    def unknown(self) -> Self:
        return self.filter(status=Message.Status.UNKNOWN)

    def taken(self) -> Self:
        """Return those that the provider has accepted, whatever became of them since."""
        return self.filter(status__in=Message.TAKEN)

    def awaiting_receipt(self) -> Self:
        """Return those that the provider accepted, or may have accepted, and of which no end is known."""
        return self.filter(status__in=Message.AWAITING_RECEIPT)

    def in_flight(self) -> Self:
        """Return those that a worker is submitting now."""
        return self.waiting().filter(batch__in=Batch.objects.in_flight())

    def clicked(self) -> Self:
        """Return those with a click by a person."""
        return self.filter(first_click_at__isnull=False)


class Message(models.Model):
    """One recipient of one mailing: exactly one row. Only ledger.move() changes its status.

       (surely not sent: a new Batch takes it)
         +------------------------------------------------------+
         v                                                      |
     waiting -> accepted -> delivered                           |
        |  |         |  \\--> undelivered | expired | cancelled  |
        |  |         \\----> no_receipt (a late receipt wins)    |
        |  +--> unknown --> accepted | delivered | ... | (provider never had it)
        |  |       \\------> no_receipt (a person accepts it as unknown)
        |  +--> refused (with a reason: no provider takes it)
        +--> cancelled
        +--> skipped: written at preparation, or at the claim (an opt-out came in between)

    A receipt changes any open status, waiting included: it may arrive before the provider's answer.
    There is no index on status, nor on any column that the normal path changes, so updates stay HOT
    (measured: an index on status costs four times, docs/decisions/0005-updates-stay-hot.md).
    """

    class Status(models.TextChoices):
        WAITING = "waiting", pgettext_lazy("message", "Waiting")
        ACCEPTED = "accepted", pgettext_lazy("message", "On the way")
        DELIVERED = "delivered", pgettext_lazy("message", "Delivered")
        UNDELIVERED = "undelivered", pgettext_lazy("message", "Not delivered")
        EXPIRED = "expired", pgettext_lazy("message", "Expired")
        NO_RECEIPT = "no_receipt", pgettext_lazy("message", "No receipt")
        UNKNOWN = "unknown", pgettext_lazy("message", "Unknown")
        REFUSED = "refused", pgettext_lazy("message", "Refused")
        CANCELLED = "cancelled", pgettext_lazy("message", "Cancelled")
        SKIPPED = "skipped", pgettext_lazy("message", "Left out")

    # Statuses in which the provider has accepted the message: it is paid for.
    TAKEN = frozenset(
        {Status.ACCEPTED, Status.DELIVERED, Status.UNDELIVERED, Status.EXPIRED, Status.NO_RECEIPT}
    )
    OPEN = frozenset({Status.WAITING, Status.ACCEPTED, Status.UNKNOWN})
    AWAITING_RECEIPT = frozenset({Status.ACCEPTED, Status.UNKNOWN})
    FINAL = frozenset(set(Status) - OPEN)
    # The provider has answered for them, or may have accepted them.
    HANDED_OVER = TAKEN | {Status.REFUSED, Status.UNKNOWN}
    # What the statistics call "Error": the message should have arrived and did not.
    FAILED = frozenset({Status.UNDELIVERED, Status.EXPIRED, Status.REFUSED})

    # No foreign key checks in the database on the three below: prepare.py writes a million rows at
    # a time while it holds the mailing. A person may be deleted; the row remains.
    mailing = models.ForeignKey(
        Mailing,
        on_delete=models.PROTECT,
        related_name="messages",
        db_index=False,
        db_constraint=False,
    )
    # Unique together with the mailing. The phone for a mailing, the event's key for a notification,
    # "user:<id>" for an excluded person.
    key = models.CharField(max_length=80)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    phone = models.CharField(max_length=16, blank=True)
    text = models.TextField(blank=True)  # with marks for short links (markers.py), never tokens
    parts = models.PositiveSmallIntegerField(default=0)
    status = models.CharField(max_length=16, choices=Status)
    reason = models.CharField(max_length=32, blank=True)
    raw_code = models.CharField(max_length=64, blank=True)
    batch = models.ForeignKey(
        Batch,
        null=True,
        on_delete=models.PROTECT,
        related_name="messages",
        db_index=False,
        db_constraint=False,
    )
    provider_id = models.CharField(max_length=64, blank=True)
    price = models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    final_at = models.DateTimeField(null=True, blank=True)
    first_click_at = models.DateTimeField(null=True, blank=True)  # by a person, not by a robot

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["mailing", "key"], name="one_message_per_key"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["mailing", "id"], name="message_mailing"),
            models.Index(fields=["batch", "phone"], name="message_batch_phone"),
            models.Index(fields=["phone", "id"], name="message_phone"),
            # For rules that ask about one person. Without it, "received A or in group B" over a
            # million people read all messages of A for each of them, and never ended.
            models.Index(fields=["user", "mailing"], name="message_user"),
            models.Index(
                fields=["mailing", "reason", "id"], name="message_reason", condition=~Q(reason="")
            ),
            # The normal path never changes first_click_at, so its updates stay HOT.
            models.Index(
                fields=["mailing", "id"],
                include=["user"],
                name="message_clicked",
                condition=Q(first_click_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"

    @property
    def about(self) -> About | None:
        """Return the reason in words; None if there is none."""
        return Reason(self.reason).about if self.reason in set(Reason) else None

    @property
    def shown(self) -> str:
        """Return the text for display: its short links do not work, and a code is hidden."""
        return markers.masked(hidden(self.text))

    @property
    def status_label(self) -> str | Promise:
        if (
            self.status == self.Status.ACCEPTED
            and self.batch
            and self.batch.is_scheduled_at_provider
        ):
            return AT_THE_SERVICE
        return self.Status(self.status).label


def _count() -> "models.BigIntegerField[int, int]":
    return models.BigIntegerField(default=0)


class Counters(models.Model):
    """How many messages of a mailing are in each status. The numbers always equal the rows, because
    ledger.py changes both in one transaction. There is one column per status, with its name.
    """

    mailing = models.OneToOneField(
        Mailing, on_delete=models.CASCADE, primary_key=True, related_name="counters"
    )
    waiting = _count()
    accepted = _count()
    delivered = _count()
    undelivered = _count()
    expired = _count()
    no_receipt = _count()
    unknown = _count()
    refused = _count()
    cancelled = _count()
    skipped = _count()
    parts = _count()  # of messages that a provider has accepted
    price = models.DecimalField(max_digits=16, decimal_places=4, default=Decimal(0))
    clicks = _count()  # by people
    clicked = _count()  # messages in which a person clicked a link
    robots = _count()  # hits by robots and previews

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="counters_never_negative",
                condition=Q(
                    waiting__gte=0,
                    accepted__gte=0,
                    delivered__gte=0,
                    undelivered__gte=0,
                    expired__gte=0,
                    no_receipt__gte=0,
                    unknown__gte=0,
                    refused__gte=0,
                    cancelled__gte=0,
                    skipped__gte=0,
                    parts__gte=0,
                    clicks__gte=0,
                    clicked__gte=0,
                    robots__gte=0,
                ),
            )
        ]

    def __str__(self) -> str:
        return f"counters of {self.mailing_id}"

    def of(self, *statuses: str) -> int:
        return sum(int(getattr(self, status)) for status in statuses)

    @property
    def total(self) -> int:
        return self.of(*Message.Status)

    @property
    def to_send(self) -> int:
        return self.total - self.skipped

    @property
    def gone(self) -> int:
        """Return how many were submitted: accepted by a provider, refused by it, or unknown."""
        return self.of(*Message.HANDED_OVER)

    @property
    def failed(self) -> int:
        return self.of(*Message.FAILED)
