"""Decides which message in Twilio's list is ours if no response gave its id: by phone, text and time. Pure.

A row stands for one message, and two of ours may have the same text. So a row is assigned to a message only
if it cannot belong to another; an ambiguous row proves nothing about either.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings

from integrations.providers.contract import (
    DeliveryReport,
    DeliveryStatus,
    LookupItem,
    LookupRequest,
    Rival,
)
from integrations.providers.reading import word

from .answers import Row, moment, report_of, sid_of

# Its clock and ours may differ. If this were too small, an accepted message would count as never
# sent, and would be sent twice.
CLOCKS_DIFFER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, eq=False)
class WantedSms:
    """One message looked for in Twilio's list. No row created before `floor`, by Twilio's clock, can
    be it.
    """

    reference: str
    asked: LookupItem
    since: datetime
    floor: datetime | None = None

    @property
    def text(self) -> str | None:
        return self.asked.text


@dataclass
class MessageSearch:
    """Everything in one look-up: messages found by their id, and others found in the list of a
    phone.
    """

    lookups: Sequence[LookupRequest]
    known: list[WantedSms] = field(default_factory=list)
    by_list: list[tuple[LookupRequest, LookupItem]] = field(default_factory=list)

    @classmethod
    def of(cls, lookups: Sequence[LookupRequest]) -> "MessageSearch":
        search = cls(lookups)
        for lookup in lookups:
            for asked in lookup.asked:
                if asked.provider_id:
                    search.known.append(WantedSms(lookup.reference, asked, lookup.since))
                else:
                    search.by_list.append((lookup, asked))
        return search

    @property
    def phones(self) -> list[str]:
        """Return the phones whose lists are read, including the witnesses', each once."""
        asked = [asked.phone for _lookup, asked in self.by_list]
        witnesses = [lookup.witness for lookup, _asked in self.by_list]
        return list(dict.fromkeys([*asked, *(each.phone for each in witnesses if each)]))

    def read(self, rows: Mapping[str, Sequence[Row]], now: datetime) -> list[DeliveryReport]:
        """Return what the lists say. Nothing is reported about a phone without a list."""
        reports, floors = self._witnesses(rows)
        taken = {each.asked.provider_id for each in self.known}
        taken |= {sid for lookup in self.lookups for sid in lookup.taken}
        rivals = {rival for lookup in self.lookups for rival in lookup.rivals}
        wanted: dict[str, list[WantedSms]] = defaultdict(list)
        for lookup, asked in self.by_list:
            floor = floors.get(lookup.reference)
            one = WantedSms(lookup.reference, asked, lookup.since, floor)
            wanted[asked.phone].append(one)
        for phone, some in wanted.items():
            if phone in rows:
                others = [rival for rival in rivals if rival.phone == phone]
                reports += match(some, rows[phone], taken, now, others)
        return reports

    def _witnesses(
        self, rows: Mapping[str, Sequence[Row]]
    ) -> tuple[list[DeliveryReport], dict[str, datetime]]:
        """Return reports on the witnesses found and, by reference, when an earlier witness was
        created.
        """
        reports: list[DeliveryReport] = []
        floors: dict[str, datetime] = {}
        for lookup in {each.reference: each for each, _asked in self.by_list}.values():
            witness = lookup.witness
            if witness is None or not witness.provider_id:
                continue
            for row in rows.get(witness.phone, ()):
                if sid_of(row) == witness.provider_id:
                    report = report_of(witness.reference, witness.phone, row)
                    reports += [report] if report else []
                    if witness.earlier:
                        floors[lookup.reference] = created(row)
        return reports, floors


def match(
    wanted: Sequence[WantedSms],
    rows: Sequence[Row],
    taken: set[str],
    now: datetime,
    rivals: Iterable[Rival] = (),
) -> list[DeliveryReport]:
    """Return reports on messages to one phone, given all rows about it; rows whose ids are in `taken`
    belong to others.

    NOT_FOUND is reported only LOOK_UP_AFTER seconds after the submission, and never while an unassigned
    row has the same text. The list shows a message as soon as it is created, so only a request that
    hangs in the network can be missing, and none outlives our own timeout.
    """
    left = [row for row in rows if _by_us(row) and sid_of(row) not in taken]
    shared = _given([*wanted, *rivals], sorted(left, key=created))
    reports: list[DeliveryReport] = []
    for each in wanted:
        row = shared.rows.get(each)
        if row is not None:
            report = report_of(each.reference, each.asked.phone, row)
            reports += [report] if report else []
        elif (
            each not in shared.unclear
            and now - each.since > timedelta(seconds=settings.LOOK_UP_AFTER)
            and not any(_may_be(row, each) for row in shared.left)
        ):
            reports.append(
                DeliveryReport(each.reference, each.asked.phone, DeliveryStatus.NOT_FOUND)
            )
    return reports


@dataclass
class _Shared:
    """The row of each claim, the claims that stay unclear, and the rows that fit no claim."""

    rows: dict[WantedSms | Rival, Row]
    unclear: set[WantedSms | Rival]
    left: list[Row]


def _given(claims: Sequence[WantedSms | Rival], rows: Sequence[Row]) -> _Shared:
    """First, a row that fits only one claim goes to it. Claims that share rows each get one if there
    are enough; if there are fewer, it is unknown whose they are.
    """
    claims = sorted(claims, key=lambda claim: claim.since)
    fits = {id(row): _claims_on(row, claims) for row in rows}
    given: dict[WantedSms | Rival, Row] = {}
    free = [row for row in rows if fits[id(row)]]
    for row in list(free):
        if len(fits[id(row)]) == 1 and fits[id(row)][0] not in given:
            given[fits[id(row)][0]] = row
            free.remove(row)
    unclear: set[WantedSms | Rival] = set()
    for some in _together([claim for claim in claims if claim not in given], free, fits):
        theirs = [row for row in free if any(claim in some for claim in fits[id(row)])]
        if len(theirs) < len(some):
            unclear |= {claim for claim in some if theirs}
            continue
        for claim in some:
            row = next(row for row in theirs if claim in fits[id(row)])
            theirs.remove(row)
            given[claim] = row
    return _Shared(given, unclear, [row for row in rows if not fits[id(row)]])


def _together(
    claims: Sequence[WantedSms | Rival],
    rows: Sequence[Row],
    fits: Mapping[int, Sequence[WantedSms | Rival]],
) -> list[list[WantedSms | Rival]]:
    """Group the claims that share rows, directly or through others."""
    groups: list[list[WantedSms | Rival]] = [[claim] for claim in claims]
    for row in rows:
        touched = [group for group in groups if any(claim in group for claim in fits[id(row)])]
        if len(touched) > 1:
            groups = [group for group in groups if group not in touched]
            groups.append([claim for group in touched for claim in group])
    return groups


def created(row: Row) -> datetime:
    """Raises ValueError if the row has no date."""
    when = moment(row.get("date_created"))
    if when is None:
        raise ValueError("a row without a date")
    return when


def same_text(ours: str, theirs: str) -> bool:
    """Smart Encoding replaces quotes and dashes, and texts may be deleted from Twilio's list ("").
    Taking another message for ours is the lesser evil: the greater one is to send twice.
    """
    return not theirs or _letters(ours) == _letters(theirs)


def _by_us(row: Row) -> bool:
    return word(row.get("direction")) == "outbound-api"


def _claims_on(row: Row, claims: Sequence[WantedSms | Rival]) -> list[WantedSms | Rival]:
    """Return the claims that the row may belong to: those in flight when it was created, allowing for
    clock differences; if there are none, those submitted earlier.
    """
    longest = timedelta(seconds=settings.BATCH_DEADLINE + settings.READ_TIMEOUT)
    when = created(row)
    fit = [each for each in claims if when >= each.since - CLOCKS_DIFFER and _text(row, each)]
    near = [each for each in fit if when <= each.since + longest + CLOCKS_DIFFER]
    return near or fit


def _may_be(row: Row, wanted: WantedSms) -> bool:
    """The row may be this message even if it was created before the submission, because our clock
    may have been wrong.
    """
    early = wanted.floor is not None and created(row) < wanted.floor
    return not early and _text(row, wanted)


def _text(row: Row, claim: WantedSms | Rival) -> bool:
    return claim.text is None or same_text(claim.text, word(row.get("body")))


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text))
