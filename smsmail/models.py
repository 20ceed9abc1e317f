"""What was tried lately, counted for all processes when there is no Redis (tries.py)."""

from typing import ClassVar

from django.db import models


class Tried(models.Model):
    """How often, and until when it is remembered; for a hold, until when it holds."""

    key = models.CharField(max_length=80, primary_key=True)
    count = models.PositiveIntegerField()
    until = models.FloatField()  # seconds since 1970: one statement of both databases compares them

    class Meta:
        indexes: ClassVar = [models.Index(fields=["until"], name="tried_until")]

    def __str__(self) -> str:
        return self.key
