"""What people write back: kept with the person, and whoever asks for no more SMS gets none. How a
service tells of it is the business of integrations; this room is given phones and words.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from users.models import OptOut, Reply, User
from users.parsing import refusals

from . import consent, phone_owners

SHOWN = 20  # on a person's page
LONGEST = 2000  # characters that are kept; an SMS of 10 parts has 1,530
E164 = re.compile(r"\+[0-9]{5,15}")


class Written(NamedTuple):
    """One reply as a service told of it."""

    key: str  # the same for the same reply told again
    phone: str
    text: str
    at: datetime
    provider: str
    stop: bool | None = None  # the service's own reading: no more, or again


def keep(written: Sequence[Written]) -> set[str]:
    """Write the replies down that are new, and do what they ask for; the keys of the new ones.

    Inside the caller's transaction. What has no phone (a name as sender) is nobody's.
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
            for each in sorted(fresh)  # one order for everybody: two workers may be told the same
        ],
        ignore_conflicts=True,
    )
    _obey(fresh, people)
    return {each.key for each in fresh}


def replies_of(person: User) -> list[Reply]:
    """The newest ones, also of others who have this phone: nobody can tell who of them wrote."""
    theirs = Q(user=person) | (Q(phone=person.phone) if person.phone else Q())
    return list(Reply.objects.filter(theirs).order_by("-at", "-id")[:SHOWN])


def is_stop(text: str) -> bool:
    return refusals.verdict_of(text) == refusals.RefusalVerdict.REFUSAL


def _fresh(written: Sequence[Written]) -> list[Written]:
    told = {each.key: each for each in reversed(written) if E164.fullmatch(each.phone)}
    known = set(Reply.objects.filter(key__in=told).values_list("key", flat=True)) if told else set()
    return [each for key, each in reversed(told.items()) if key not in known]


def _obey(fresh: Sequence[Written], people: dict[str, int]) -> None:
    """The last word of each phone counts. Again (START) only takes back what was said by SMS."""
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
    """PostgreSQL keeps neither NULs nor halves of a surrogate pair."""
    return text[:LONGEST].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
