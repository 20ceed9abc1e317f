"""Asking SMSC's history what became of some batches: which requests are made, and for which days. How
its pages are read is in books.py.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from integrations.providers.contract import (
    DeliveryReport,
    DeliveryStatus,
    LookupRequest,
    ProviderError,
)
from integrations.providers.reading import digits
from smsmail import uptime

from .answers import Row, error_code, parsed, rows_of, trouble_of
from .api import SmscApi, log
from .books import HistoryReader, Page, by_phone, earliest
from .codes import NOTHING_FOUND
from .history import MOSCOW, PAGE_CAP

PAGE = 1000  # rows of history in one answer: its maximum
PAGES = 100  # in one look; the next one goes on there
FEW = 3  # phones that are asked one by one instead of reading all the history


class SmscLookup:
    """One look into the history: one sweep, or one for each phone when there are few of them. A sweep
    that is too long for one look goes on at the next one.
    """

    def __init__(self, api: SmscApi, clock_off: Callable[[], float | None]) -> None:
        """clock_off: Provider.clock_off as it is now; every answer may change it."""
        self.api = api
        self.clock_off = clock_off
        self.deadline = uptime.clock() + settings.BATCH_DEADLINE
        self.read_to: dict[str, str] = {}  # as Provider.read_to

    def read(self, lookups: Sequence[LookupRequest]) -> list[DeliveryReport]:
        """Raises ProviderError when nothing could be read."""
        phones = {digits(phone) for lookup in lookups for phone in lookup.phones}
        if not phones:
            return []
        since = min(earliest(lookup) for lookup in lookups)
        under_way = any(lookup.read_to for lookup in lookups)
        if len(phones) > FEW or under_way:
            reading = HistoryReader(lookups)
            reading.read(self._pages(since), PAGES)
            self.read_to = reading.read_to
            return reading.reports
        return self._by_phone(lookups, since)

    def _by_phone(self, lookups: Sequence[LookupRequest], since: datetime) -> list[DeliveryReport]:
        """The few phones, and those of the witnesses."""
        reports: dict[tuple[str, str], DeliveryReport] = {}
        trouble = None
        for phone, some in by_phone(lookups, since).items():
            try:
                reading = HistoryReader(some, alone=True)
                reading.read(self._pages(since, phone=phone), PAGES)
            except ProviderError as met:
                trouble = met
                continue
            reports |= {(report.reference, report.phone): report for report in reading.reports}
        if trouble and not reports:
            raise trouble
        asked = {(each.reference, phone) for each in lookups for phone in each.phones}
        return [
            report
            for pair, report in reports.items()
            if pair in asked or report.status != DeliveryStatus.NOT_FOUND
        ]

    def _pages(self, since: datetime, **only: str) -> Page:
        """Return a function that reads a page. The days are those of SMSC's clock, which its first
        response tells: a history asked for tomorrow would be empty.
        """

        def page(before: str) -> list[Row]:
            asked = self._days(since)
            rows = self._rows(asked, before, **only)
            days = self._days(since)
            return rows if days == asked else self._rows(days, before, **only)

        return page

    def _days(self, since: datetime) -> dict[str, str]:
        """Return the days to ask for, with one more on both sides."""
        now = timezone.now()
        theirs = now - timedelta(seconds=self.clock_off() or 0)
        first, last = min(since, now, theirs), max(now, theirs)
        day = timedelta(days=1)
        return {
            "start": f"{(first - day).astimezone(MOSCOW):%d.%m.%Y}",
            "end": f"{(last + day).astimezone(MOSCOW):%d.%m.%Y}",
        }

    def _rows(self, days: Mapping[str, str], before: str, **only: str) -> list[Row]:
        """One page, from the row before this int_id."""
        began = time.monotonic()
        answer = self.api.ask(
            "get",
            {
                "get_messages": "1",
                **days,
                "cnt": str(PAGE),
                **({"prev_id": before} if before else {}),
                **only,
            },
            deadline=self.deadline,
            cap=PAGE_CAP,
        )
        data = parsed(answer)
        rows = rows_of(data)
        log("get", "", len(rows), answer, began, {})
        if error_code(data) == NOTHING_FOUND or (isinstance(data, list) and len(rows) == len(data)):
            return rows
        raise trouble_of(answer, data)
