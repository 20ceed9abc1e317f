"""The same text to the same people lately: what a manager is warned of before a launch. Reads only."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from mailings.models import Mailing

DAYS = 7
SHOWN = 5
LOOKED_AT = 500  # launches of a week; more are not a school's


def sent_lately(mailing: Mailing) -> list[Mailing]:
    """Mailings launched in the last days with this text to the same choice of people, the newest
    first. A cancelled one counts too: part of it may have gone.
    """
    people: dict[str, Any] = {"everyone": mailing.everyone}
    if not mailing.everyone:
        people["segment"] = mailing.segment_id
    launched = (
        Mailing.objects.filter(
            kind=Mailing.Kind.MAILING,
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
    """None where everyone or a segment is chosen: groups ticked before do not count then."""
    if mailing.everyone or mailing.segment_id or mailing.pk is None:
        return set()
    return {group.id for group in mailing.groups.all()}
