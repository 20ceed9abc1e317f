"""Who has come under the rule of a watching mailing: each once, whatever happens to them later."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from .mailing import Mailing


class Arrival(models.Model):
    """One person whom a watching mailing has considered. Their message, or the reason why there is
    none, is a Message like any other; both are written in one transaction.
    """

    # The key is what the look for new people joins with: 1,000,000 of them are 21 MB.
    pk = models.CompositePrimaryKey("mailing_id", "user_id")
    # No checks in the database: five thousand in a chunk cost more than the chunk. A person may be
    # deleted, the row remains.
    mailing = models.ForeignKey(
        Mailing,
        on_delete=models.CASCADE,
        related_name="arrivals",
        db_index=False,
        db_constraint=False,
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    at = models.DateTimeField()
    # Under the rule when the watching began, of a mailing that is for those who come later only.
    before = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["mailing", "at"], name="arrival_at", condition=models.Q(before=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.mailing_id}"
