"""Checks the order of the deadlines on which the sending protocol depends, whenever Django starts."""

from itertools import pairwise
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from .sending.worker import SLICE

ORDER = ("LEASE", "TASK_LIMIT", "BATCH_DEADLINE", "READ_TIMEOUT")


@register()
def lease_outlives_every_request(**_kwargs: Any) -> list[CheckMessage]:
    """In a trial, a lease shorter than a slow request sent 80 of 400 messages twice."""
    problems: list[CheckMessage] = []
    for longer, shorter in pairwise(ORDER):
        if getattr(settings, longer) <= getattr(settings, shorter):
            problems.append(Error(f"{longer} must be longer than {shorter}", id="mailings.E001"))
    # A task claims batches for SLICE seconds, and its last batch then has all of its own time.
    needed = SLICE + settings.BATCH_DEADLINE + settings.READ_TIMEOUT
    if needed >= settings.TASK_LIMIT:
        problems.append(
            Error(
                f"TASK_LIMIT must be longer than BATCH_DEADLINE, READ_TIMEOUT and the {SLICE:g} s for which "
                f"a task claims together: more than {needed:g}",
                id="mailings.E002",
            )
        )
    return problems
