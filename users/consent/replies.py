"""Replies that people send by SMS. They are kept with the person, and whoever asks for no more SMS
gets none. integrations reads the providers' formats; this package gets phones and texts.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from users.models import OptOut, Reply, User
from users.parsing import refusals

from . import consent, phone_owners

SHOWN = 20  # replies on a person's page
LONGEST = 2000  # characters that are kept; an SMS of 10 parts has 1,530
E164 = re.compile(r"\+[0-9]{5,15}")


class Written(NamedTuple):
    """One reply as a provider reported it."""

    key: str  # the same if the provider reports the same reply again
    phone: str
    text: str
    at: datetime
    provider: str
    stop: bool | None = None  # the provider's own reading: True is stop, False is start


def keep(written: Sequence[Written]) -> set[str]:
    """Store the new replies, do what they ask for, and return their keys.

    The caller has opened a transaction. Replies without a phone (a sender name) are ignored.
    """
    fresh = _fresh(written)
    if not fresh:
        return set()
    people = phone_owners.first_with({each.phone for each in fresh})
    Reply.objects.bulk_create(
        [
            Reply(
                user_id=people.get(each.phone),
                phone=each.phone,
                text=_storable(each.text),
                at=each.at,
                provider=each.provider,
                key=each.key,
            )
            for each in sorted(fresh)  # sorted, because two workers may get the same replies
        ],
        ignore_conflicts=True,
    )
    _obey(fresh, people)
    return {each.key for each in fresh}


def replies_of(person: User) -> list[Reply]:
    """Return the newest replies, including those of others with this phone: nobody can tell which
    of them wrote.
    """
    theirs = Q(user=person) | (Q(phone=person.phone) if person.phone else Q())
    return list(Reply.objects.filter(theirs).order_by("-at", "-id")[:SHOWN])


def is_stop(text: str) -> bool:
    return refusals.verdict_of(text) == refusals.RefusalVerdict.REFUSAL


def _fresh(written: Sequence[Written]) -> list[Written]:
    told = {each.key: each for each in reversed(written) if E164.fullmatch(each.phone)}
    known = set(Reply.objects.filter(key__in=told).values_list("key", flat=True)) if told else set()
    return [each for key, each in reversed(told.items()) if key not in known]


def _obey(fresh: Sequence[Written], people: dict[str, int]) -> None:
    """The last request of each phone counts. START takes back only an opt-out that came by SMS."""
    said: dict[str, bool] = {}
    for each in fresh:
        if each.stop is not None or is_stop(each.text):
            said[each.phone] = each.stop is not False
    consent.opt_out_all(
        {phone for phone, stop in said.items() if stop}, OptOut.Source.REPLY, people
    )
    consent.opt_in_all(
        {phone for phone, stop in said.items() if not stop}, OptOut.Source.REPLY, people
    )


def _storable(text: str) -> str:
    """PostgreSQL stores neither NUL characters nor half surrogate pairs."""
    return text[:LONGEST].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
