"""Finds mailings that sent the same text to the same people lately, to warn of them before a
launch. Read-only.
"""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from mailings.models import Mailing

DAYS = 7
SHOWN = 5
LOOKED_AT = 500  # launches in a week; no school has more


def sent_lately(mailing: Mailing) -> list[Mailing]:
    """Return the mailings of the last DAYS days with this text and the same choice of people, the
    newest first. Cancelled ones count too, since a part of them may have left.
    """
    people: dict[str, Any] = {"everyone": mailing.everyone}
    if not mailing.everyone:
        people["segment"] = mailing.segment_id
    launched = (
        Mailing.objects.campaigns()
        .filter(
            launched_at__gte=timezone.now() - timedelta(days=DAYS),
            **people,
        )
        .exclude(pk=mailing.pk)
        .prefetch_related("groups")
        .order_by("-launched_at", "-id")
    )
    words, groups = mailing.text.split(), _groups(mailing)
    same = [
        each
        for each in launched[:LOOKED_AT]
        if each.text.split() == words and _groups(each) == groups
    ]
    return same[:SHOWN]


def _groups(mailing: Mailing) -> set[int]:
    """Return an empty set if everyone or a segment is chosen: groups ticked before do not count
    then.
    """
    if mailing.everyone or mailing.segment_id or mailing.pk is None:
        return set()
    return {group.id for group in mailing.groups.all()}
