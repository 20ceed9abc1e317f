"""What the owner sets for all mailings, and texts kept for use again."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

CODES_A_DAY = 500


class Policy(models.Model):
    """One row: the account's rules of sending. Read it with Policy.current()."""

    # A launch to more people than this needs a second person; null: never.
    two_people_above = models.PositiveIntegerField(null=True, blank=True)
    # Frequency cap: no more than so many SMS of mailings to one phone in so many days; null: none.
    cap_messages = models.PositiveSmallIntegerField(null=True, blank=True)
    cap_days = models.PositiveSmallIntegerField(default=1)
    countdown = models.PositiveSmallIntegerField(default=60)  # seconds after a launch
    early_hours = models.PositiveSmallIntegerField(default=3)  # hand over so long beforehand
    # In the recipient's own time; both or none.
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    # So late a set time is still sent at; later the mailing is held and asks.
    grace_minutes = models.PositiveSmallIntegerField(default=60)
    # Where SMS and codes go: two letters each; empty: every country (destinations.py).
    sms_countries = models.JSONField(
        default=list, blank=True, db_default=Value([], models.JSONField())
    )
    mobile_only = models.BooleanField(default=False, db_default=False)
    # Codes that confirm a phone: no more than so many in 24 hours.
    codes_a_day = models.PositiveIntegerField(default=CODES_A_DAY, db_default=CODES_A_DAY)
    # Sign-in links handed over before this moment no longer sign in, whatever the mailing.
    sign_in_revoked_at = models.DateTimeField(null=True, blank=True)
    # The page behind a sign-in link never posts itself, not even on a phone in a hand.
    one_tap = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="one_policy", condition=Q(id=1)),
        ]

    def __str__(self) -> str:
        return "policy"

    @classmethod
    def current(cls) -> "Policy":
        """The row; its defaults while nobody has saved one."""
        return cls.objects.filter(id=1).first() or cls(id=1)


class ClockReading(models.Model):
    """The latest moment that any worker's clock has shown: one row. A clock that shows less has been set
    back, or that one was wrong (clock_repair.py).
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
