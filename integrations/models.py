"""Accounts at providers, what providers report to us (raw), and the simulator's own records."""

import secrets
from decimal import Decimal
from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from smsmail.encryption import EncryptedJSONField

from .reasons import About, Reason


def new_receipt_key() -> str:
    return secrets.token_urlsafe(24)


class Account(models.Model):
    """Our account at one provider. Without credentials it is off ("not connected")."""

    provider = models.CharField(max_length=16, unique=True)
    credentials = EncryptedJSONField()
    sender = models.CharField(_("sender name"), max_length=20, blank=True)
    price = models.DecimalField(
        _("price of one SMS part"),
        max_digits=10,
        decimal_places=4,
        default=Decimal(0),
        validators=[MinValueValidator(0)],
    )
    currency = models.CharField(_("currency"), max_length=3, default="RUB")
    receipt_key = models.CharField(max_length=64, default=new_receipt_key)  # in the callback URL
    # The previous key and until when it is accepted: messages already submitted carry its URL.
    old_receipt_key = models.CharField(max_length=64, blank=True)
    old_receipt_key_until = models.DateTimeField(null=True, blank=True)
    # Limits over all workers: submissions at once, and messages a second (0: no limit).
    parallel = models.PositiveSmallIntegerField(default=1)
    per_second = models.PositiveIntegerField(default=0)
    next_free_at = models.DateTimeField(null=True, blank=True)  # by per_second

    # An account cools down after an error; messages wait or go through the next provider.
    cooldown_until = models.DateTimeField(null=True, blank=True)
    # Failures in a row; they decide how long the cooldown lasts.
    failures = models.PositiveIntegerField(default=0)
    # The last error and since when it went on; kept when the account works again.
    cooldown_reason = models.CharField(max_length=32, blank=True)
    cooldown_raw = models.CharField(max_length=64, blank=True)
    cooldown_since = models.DateTimeField(null=True, blank=True)

    # When the provider first accepted these settings: a check, a test or a batch succeeded. Null: nothing has
    # succeeded since they were entered, or the provider has refused them.
    proven_at = models.DateTimeField(null=True, blank=True)

    balance = models.DecimalField(max_digits=14, decimal_places=4, null=True, blank=True)
    balance_currency = models.CharField(max_length=3, blank=True)  # the provider's own
    balance_at = models.DateTimeField(null=True, blank=True)
    warn_below = models.DecimalField(max_digits=14, decimal_places=4, null=True, blank=True)

    # How many seconds our clock is ahead of the provider's; null: no more than CLOCK_TOLERANCE.
    clock_off = models.IntegerField(null=True, blank=True)
    # How many seconds longer than usual to wait before trusting its records, and when it was last that slow.
    slow = models.PositiveIntegerField(default=0)
    slow_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.provider

    @property
    def connected(self) -> bool:
        return bool(self.credentials)

    @property
    def rest_about(self) -> About | None:
        """The last error, described; None if there was none."""
        if not self.cooldown_reason:
            return None
        return (
            Reason(self.cooldown_reason) if self.cooldown_reason in set(Reason) else Reason.OTHER
        ).about

    @property
    def is_refused(self) -> bool:
        """True if the settings were tried and the provider did not accept them."""
        return self.proven_at is None and bool(self.cooldown_reason)

    @property
    def shown_currency(self) -> str:
        """The currency of the balance: the provider's own if it names one."""
        return self.balance_currency or self.currency

    @property
    def clock_words(self) -> str:
        """ "1 day, 2 hours", "3 minutes": how far our clock is from the service's."""
        days, seconds = divmod(abs(self.clock_off or 0), 24 * 3600)
        hours, minutes = divmod(round(seconds / 60), 60)
        words = (
            (days, ngettext("%(n)d day", "%(n)d days", days)),
            (hours, ngettext("%(n)d hour", "%(n)d hours", hours)),
            (minutes, ngettext("%(n)d minute", "%(n)d minutes", minutes)),
        )
        told = [word % {"n": number} for number, word in words if number]
        return ", ".join(told[:2])

    @property
    def balance_is_low(self) -> bool:
        if self.balance is None or self.warn_below is None:
            return False
        return self.balance < self.warn_below


class FormerLogin(models.Model):
    """Earlier credentials of an account, kept while messages submitted with them are open: only they
    can look these up. Deleted when none is open, and on disconnecting.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="former_logins")
    login = models.CharField(max_length=32)  # logins.fingerprint
    credentials = EncryptedJSONField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "login"], name="one_row_per_former_login")
        ]

    def __str__(self) -> str:
        return f"former login of {self.account_id}"


class Stray(models.Model):
    """A message that may appear in a provider's records but is not (or no longer) a row of a mailing:
    a test from the settings page, or the first attempt at a message that a person sent again. Kept for
    90 days, so that it is not taken as proof of another message.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    phone = models.CharField(max_length=16)
    provider_id = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField()
    # For a test: its name in receipts, and its status (trial_messages.WORDS).
    reference = models.CharField(max_length=40, blank=True)
    status = models.CharField(max_length=16, blank=True)
    reason = models.CharField(max_length=32, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["reference"], name="stray_reference", condition=~models.Q(reference="")
            ),
            models.Index(fields=["phone"], name="stray_phone"),
            models.Index(fields=["at"], name="stray_age"),
        ]

    def __str__(self) -> str:
        return f"stray {self.pk}"

    @property
    def about(self) -> About | None:
        """Why the message was not delivered."""
        return Reason(self.reason).about if self.reason in set(Reason) else None


class Routing(models.Model):
    """Whether the next connected provider sends while the first is down. A single row, created by
    the first change; without it, the next does not send.
    """

    ONLY = 1
    fallback = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="one_row_of_routing", condition=models.Q(id=1))
        ]

    def __str__(self) -> str:
        return f"fallback {self.fallback}"


class Receipt(models.Model):
    """A webhook event of a provider, exactly as it arrived: one row of the inbox. Whoever processes it
    removes it from here (receipts/inbox.py). There is no index besides the key: the door only inserts, and
    processing takes the oldest.
    """

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="receipts", db_index=False
    )
    received_at = models.DateTimeField(db_default=Now())
    headers = models.JSONField(default=dict)
    query = models.TextField(blank=True)
    body = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"receipt {self.pk}"


class ReceiptPack(models.Model):
    """Up to a thousand processed receipts, compressed (receipts/packs.py); kept for 90 days."""

    class Outcome(models.TextChoices):
        APPLIED = "applied", _("applied")
        STALE = "stale", _("nothing new")
        STRANGER = "stranger", _("names no message of ours")
        UNREADABLE = "unreadable", _("could not be read")

    last_at = models.DateTimeField()  # when the last of them was received
    receipts = models.PositiveIntegerField()
    strangers = models.PositiveIntegerField()  # how many of them have this outcome
    content = models.BinaryField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["last_at"], name="receipt_pack_age")]

    def __str__(self) -> str:
        return f"pack {self.pk} of {self.receipts} receipts"


class SimulatedSms(models.Model):
    """The simulator's own records: what it accepted, and when it will report. Sending code must not
    read it, only the simulator.
    """

    reference = models.CharField(max_length=40)
    phone = models.CharField(max_length=16)
    text = models.TextField()
    at = models.DateTimeField(db_default=Now())
    report_at = models.DateTimeField()
    scheduled = models.BooleanField(default=False)  # for a given time
    reported = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["report_at"], name="simulated_due", condition=models.Q(reported=False)
            ),
            models.Index(fields=["phone", "id"], name="simulated_phone"),
            models.Index(fields=["reference"], name="simulated_reference"),
        ]

    def __str__(self) -> str:
        return f"simulated {self.pk}"
