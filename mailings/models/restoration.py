"""The epoch (how far this database has come), what is known of a restored copy, and the SMS that
are in the providers' records but not in this database.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from integrations.models import Account
from integrations.reasons import About, Reason

from .mailing import Mailing


class Epoch(models.Model):
    """One row: a number that grows with every submission and every few seconds. A file outside the
    database has the same number (smsmail.jobs.epoch_file), and never a greater one unless the
    database was turned back. While `held`, nothing is submitted.
    """

    ONLY = 1
    tick = models.BigIntegerField(default=0)
    at = models.DateTimeField(db_default=Now())  # when it last grew
    held = models.BooleanField(default=False)
    # Set when the owner has just decided: a machine without the file may trust this database.
    believed = models.BooleanField(default=False)
    # When a worker last found that the file cannot be written.
    no_place_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(name="one_epoch", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"epoch {self.tick}"


class Restoration(models.Model):
    """A copy that was put back. It is found, its providers are asked, and the owner decides about
    it. At most one is open; whoever opens or decides one locks the row of the epoch.
    """

    class Why(models.TextChoices):
        OLDER = "older", _("the database knows less than the file beside the keys")
        NO_FILE = "no_file", _("the file beside the keys is missing")
        COMMAND = "command", _("manage.py restore")
        SAID = "said", _("somebody said so")

    found_at = models.DateTimeField(db_default=Now())
    why = models.CharField(max_length=16, choices=Why)
    copy_at = models.DateTimeField()  # the last sign of life in the copy
    # and the last one known before it was put back
    last_at = models.DateTimeField(null=True, blank=True)
    seen_tick = models.BigIntegerField(default=0)  # the greatest number in any file
    since = models.DateTimeField()  # the start of the providers' records that are read
    asked_at = models.DateTimeField(null=True, blank=True)  # when all providers had answered
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    def __str__(self) -> str:
        return f"restoration {self.pk}"


class BooksSweep(models.Model):
    """How far the records of one account have been read after a restoration, from the newest
    backwards.
    """

    restoration = models.ForeignKey(Restoration, on_delete=models.CASCADE, related_name="sweeps")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    began_at = models.DateTimeField(null=True, blank=True)
    # where the next page begins, as the provider expresses it
    cursor = models.TextField(blank=True)
    rows = models.PositiveIntegerField(default=0)  # messages read
    known = models.PositiveIntegerField(default=0)  # messages read that this database knew
    entered = models.PositiveIntegerField(
        default=0
    )  # messages read that it did not know to be sent, and knows now
    # Not read before this time: a worker is reading it, or the provider had an error.
    again_at = models.DateTimeField(null=True, blank=True)
    trouble = models.CharField(max_length=32, blank=True)  # a Reason
    done_at = models.DateTimeField(null=True, blank=True)
    # when the owner decided not to wait for it
    waived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["restoration", "account"], name="one_sweep_per_account")
        ]

    def __str__(self) -> str:
        return f"sweep {self.pk}"

    @property
    def trouble_about(self) -> About | None:
        return Reason(self.trouble).about if self.trouble in set(Reason) else None


class UnclaimedSms(models.Model):
    """An SMS that a provider has sent for us and that is unknown to a restored database. If the
    same text to the same phone is prepared later, that person counts as served by it, once. The row
    holds no text.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=40, blank=True)  # '' where the records do not show it
    provider_id = models.CharField(max_length=64, blank=True)
    phone = models.CharField(max_length=16)
    fingerprint = models.CharField(max_length=32, blank=True)  # '': any text
    at = models.DateTimeField()
    status = models.CharField(max_length=16)
    reason = models.CharField(max_length=32, blank=True)
    raw_code = models.CharField(max_length=64, blank=True)
    price = models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True)
    # Only a mailing that the restored copy knows can have sent it.
    restoration = models.ForeignKey(Restoration, on_delete=models.CASCADE, related_name="+")
    claimed_at = models.DateTimeField(null=True, blank=True)
    mailing = models.ForeignKey(Mailing, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "reference", "provider_id", "phone"],
                name="one_unclaimed_per_sms",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["phone"], name="unclaimed_phone", condition=Q(claimed_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"unclaimed {self.pk}"
