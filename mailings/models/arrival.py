"""Records who has come under the rule of an on-entry mailing: each person once, whatever happens
later.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models

from .mailing import Mailing


class Arrival(models.Model):
    """One person whom an on-entry mailing has considered. Their message, or the reason why there is
    none, is a Message like any other; both rows are written in one transaction.
    """

    # The search for new people joins with this key: 1,000,000 of them are 21 MB.
    pk = models.CompositePrimaryKey("mailing_id", "user_id")
    # No foreign key checks in the database: for five thousand rows they cost more than the chunk
    # itself. A person may be deleted; the row remains.
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
    # True: the person was under the rule at the first look, and the mailing is only for those
    # who come later.
    before = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["mailing", "at"], name="arrival_at", condition=models.Q(before=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.mailing_id}"
