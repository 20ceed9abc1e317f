"""Reading back through SMSC's history, page by page and look by look: what it shows of some hand-overs,
and when it would have shown them. The requests are lookup.py's. No database, no network here.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from integrations.providers.contract import (
    DeliveryReport,
    DeliveryStatus,
    LookupItem,
    LookupRequest,
    ProviderError,
)
from integrations.providers.reading import digits, text_of

from .answers import Row, number, older, report_of

# Its clock and ours may differ; rows a little older than our request are read all the same. Too
# little here would take a message for never sent, and send it twice.
CLOCKS_DIFFER = timedelta(minutes=10)

Pair = tuple[str, str]  # our reference, the phone's digits
Page = Callable[[str], list[Row]]  # the rows before this int_id; '': the newest


@dataclass
class BatchSearch:
    """One submission that is looked for, and how far back to read before a missing message counts
    as never sent.
    """

    lookup: LookupRequest
    wanted: dict[Pair, str]
    witnessed: bool = False
    found: dict[Pair, DeliveryReport] = field(default_factory=dict)

    @classmethod
    def of(cls, lookup: LookupRequest) -> "BatchSearch":
        wanted = {(lookup.reference, digits(phone)): phone for phone in lookup.phones}
        return cls(lookup, wanted, ReadPosition.of(lookup.read_to).witnessed)

    @property
    def pairs(self) -> set[Pair]:
        witness = self.lookup.witness
        own = {(witness.reference, digits(witness.phone))} if witness else set()
        return self.wanted.keys() | own

    def note(self, pair: Pair, row: Row) -> None:
        if pair in self.wanted:
            self.found.setdefault(pair, report_of(pair[0], self.wanted[pair], row))
        witness = self.lookup.witness
        if witness and pair == (witness.reference, digits(witness.phone)):
            self.witnessed = True
            self.found.setdefault(pair, report_of(pair[0], witness.phone, row))

    def is_over(self, rows: Sequence[Row]) -> bool:
        """Rows are numbered in order of arrival: once a message is reached that was accepted before
        this submission, no message of it can follow. A short page proves nothing, because SMSC may
        limit its length below what we asked for. A later witness does not say how far back to read.
        """
        if not rows or self.found.keys() >= self.wanted.keys():
            return True
        if self.lookup.witness is None:
            return older(rows[-1], self.lookup.since - CLOCKS_DIFFER)
        return self.lookup.witness.earlier and self.witnessed

    @property
    def missing(self) -> list[DeliveryReport]:
        return [
            DeliveryReport(pair[0], phone, DeliveryStatus.NOT_FOUND)
            for pair, phone in self.wanted.items()
            if pair not in self.found
        ]


@dataclass(frozen=True, slots=True)
class ReadPosition:
    """Where a look-up stopped, as Provider.read_to stores it: the row, its time, and whether the
    witness was among the rows read so far.
    """

    before: str = ""
    at: int = 0
    witnessed: bool = False

    @classmethod
    def of(cls, read_to: str) -> "ReadPosition":
        before, _, rest = read_to.partition(".")
        at, _, witnessed = rest.partition(".")
        return cls(before, number(at) or 0, witnessed == "1")

    def __str__(self) -> str:
        return f"{self.before}.{self.at}.{int(self.witnessed)}"


def read_until(read_to: str) -> datetime | None:
    """Return down to which send time the history has been read."""
    at = ReadPosition.of(read_to).at
    return datetime.fromtimestamp(at, UTC) if at else None


class HistoryReader:
    """One look-up: from the newest row, or from where the last one stopped, as far back as it gets."""

    def __init__(self, lookups: Sequence[LookupRequest], *, alone: bool = False) -> None:
        """alone: read the history of a single phone, which may well be empty."""
        self.searches = [BatchSearch.of(lookup) for lookup in lookups]
        self.left = list(self.searches)
        self.over: list[BatchSearch] = []
        self.before = _start(lookups)
        self.at = 0
        # An empty history shows nothing at all: it is of other days, of another login, or really empty.
        self.shows = alone or bool(self.before)
        self._by_pair: dict[Pair, list[BatchSearch]] = defaultdict(list)
        for search in self.searches:
            for pair in search.pairs:
                self._by_pair[pair].append(search)

    def read(self, page: Page, pages: int) -> None:
        """Raises ProviderError if not even one page came."""
        for number_of_page in range(pages):
            try:
                rows = page(self.before)
            except ProviderError:
                if not number_of_page:
                    raise
                return
            self._take(rows)
            if not self.left:
                return

    def _take(self, rows: Sequence[Row]) -> None:
        for row in rows:
            pair = (text_of(row.get("id")), digits(row.get("phone")))
            for search in self._by_pair.get(pair, ()):
                search.note(pair, row)
        if not goes_back(rows, self.before):
            self.left = []  # what was found counts; the next look begins anew
            return
        self.shows = self.shows or bool(rows)
        self.over += [search for search in self.left if search.is_over(rows)]
        self.left = [search for search in self.left if not search.is_over(rows)]
        if rows:
            self.before = text_of(rows[-1]["int_id"])
            self.at = number(rows[-1].get("send_timestamp")) or self.at

    @property
    def reports(self) -> list[DeliveryReport]:
        found = {pair: report for search in self.searches for pair, report in search.found.items()}
        never = [report for search in self.over for report in search.missing] if self.shows else []
        return [*found.values(), *never]

    @property
    def read_to(self) -> dict[str, str]:
        """Return where to continue, for each submission that is not finished."""
        return {
            search.lookup.reference: str(ReadPosition(self.before, self.at, search.witnessed))
            for search in self.left
            if self.before
        }


def _start(lookups: Sequence[LookupRequest]) -> str:
    """Return where all of them stopped; '' (the newest row) if they differ."""
    places = {ReadPosition.of(lookup.read_to).before for lookup in lookups}
    return places.pop() if len(places) == 1 else ""


def goes_back(rows: Sequence[Row], before: str) -> bool:
    """True if the rows are newest first and all older than the page before. In any other order the
    end of the pages would prove nothing, and an accepted message could count as never sent.
    """
    chain = [number(row.get("int_id")) for row in rows]
    if before:
        chain.insert(0, number(before))
    known = [int_id for int_id in chain if int_id is not None]
    return len(known) == len(chain) and all(later > earlier for later, earlier in pairwise(known))


def earliest(lookup: LookupRequest) -> datetime:
    witness = lookup.witness
    return min(lookup.since, witness.since) if witness else lookup.since


def by_phone(lookups: Sequence[LookupRequest], since: datetime) -> dict[str, list[LookupRequest]]:
    """Split the look-ups by phone; witnesses become look-ups of their own."""
    split: dict[str, list[LookupRequest]] = defaultdict(list)
    for lookup in lookups:
        for each in lookup.asked:
            split[digits(each.phone)].append(LookupRequest(lookup.reference, (each,), since))
        if witness := lookup.witness:
            only = LookupRequest(witness.reference, (LookupItem(witness.phone),), since)
            split[digits(witness.phone)].append(only)
    return split
