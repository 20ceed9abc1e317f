"""What the owner sets for all mailings, the texts saved for reuse, and the latest clock reading."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

CODES_A_DAY = 500


class Policy(models.Model):
    """The account's rules of sending, in one row. Read it with Policy.current()."""

    # A launch to more people than this needs a second person; null: no launch does.
    two_people_above = models.PositiveIntegerField(null=True, blank=True)
    # Frequency cap: at most so many SMS of mailings to one phone in so many days; null: no cap.
    cap_messages = models.PositiveSmallIntegerField(null=True, blank=True)
    cap_days = models.PositiveSmallIntegerField(default=1)
    countdown = models.PositiveSmallIntegerField(default=60)  # seconds after a launch
    # submit so long before the scheduled time
    early_hours = models.PositiveSmallIntegerField(default=3)
    # Quiet hours in the recipient's own time zone; both are set, or neither.
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    # How late a scheduled mailing may still start; after that it is held and asks.
    grace_minutes = models.PositiveSmallIntegerField(default=60)
    # Countries that get SMS and codes, two letters each; empty: every country
    # (audience/destinations.py).
    sms_countries = models.JSONField(
        default=list, blank=True, db_default=Value([], models.JSONField())
    )
    mobile_only = models.BooleanField(default=False, db_default=False)
    # At most so many codes that confirm a phone in 24 hours.
    codes_a_day = models.PositiveIntegerField(default=CODES_A_DAY, db_default=CODES_A_DAY)
    # Sign-in links submitted before this moment no longer sign in, in any mailing.
    sign_in_revoked_at = models.DateTimeField(null=True, blank=True)
    # The page behind a sign-in link never submits itself, not even on a phone.
    one_tap = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="one_policy", condition=Q(id=1)),
        ]

    def __str__(self) -> str:
        return "policy"

    @classmethod
    def current(cls) -> "Policy":
        """Return the row, or one with the defaults while nobody has saved it."""
        return cls.objects.filter(id=1).first() or cls(id=1)


class ClockReading(models.Model):
    """One row: the latest time that any worker's clock has shown. If a clock shows less, it was set
    back, or the stored reading was wrong (sending/clock_repair.py).
    """

    ONLY = 1
    latest = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="one_clock_reading", condition=Q(id=1)),
        ]

    def __str__(self) -> str:
        return f"{self.latest}"


class SavedText(models.Model):
    """A text to begin a mailing with."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    text = models.TextField(_("text"))
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name
