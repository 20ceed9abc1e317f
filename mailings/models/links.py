"""The links of a mailing and their clicks. Tokens are not stored: text/tokens.py derives them."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .mailing import Mailing


class Link(models.Model):
    """One URL in the text of a launched mailing, with its position in the text (0, 1, ...)."""

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="links")
    position = models.PositiveSmallIntegerField()
    url = models.TextField()  # as written, variables included
    # tracking/aggregate.py updates these together with the clicks that they count.
    clicks = models.BigIntegerField(default=0)  # by people
    clicked = models.BigIntegerField(default=0)  # messages in which a person clicked it
    robots = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["mailing", "position"], name="one_link_per_position"),
        ]

    def __str__(self) -> str:
        return self.url


class Click(models.Model):
    """One hit on a short link. The redirect writes it; it is counted later (processed_at). Its kind
    can be computed again from the other columns.
    """

    class Kind(models.TextChoices):
        PERSON = "person", _("person")
        PREVIEW = "preview", _("preview of a messenger")
        ROBOT = "robot", _("robot")

    # No foreign key checks in the database: the redirect must not wait for another table.
    message = models.ForeignKey(
        "mailings.Message",
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    mailing = models.ForeignKey(
        Mailing, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    position = models.PositiveSmallIntegerField()
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=8, choices=Kind)
    method = models.CharField(max_length=8)
    user_agent = models.CharField(max_length=300, blank=True)
    # What else the kind was derived from: "prefetch", "no-language".
    signs = models.CharField(max_length=64, blank=True)
    network = models.CharField(max_length=48, blank=True)  # /24 or /48, never the whole address
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["id"], name="click_unprocessed", condition=Q(processed_at__isnull=True)
            ),
            models.Index(fields=["message", "position"], name="click_message"),
            models.Index(fields=["mailing", "id"], name="click_mailing"),
        ]

    def __str__(self) -> str:
        return f"click {self.pk}"


class ClickHour(models.Model):
    """The clicks of a mailing in one hour, so that its page need not count the rows."""

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="click_hours")
    hour = models.DateTimeField()  # its beginning, UTC
    clicks = models.BigIntegerField(default=0)
    robots = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["mailing", "hour"], name="one_row_per_click_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.mailing_id} {self.hour}"
