"""Asking Twilio's books what became of messages: by Twilio's id where an answer or a call told it, else by
phone. Which row of a phone's list is ours is decided in matching.py.
"""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.conf import settings
from django.utils import timezone

from integrations.providers.burst import side_by_side
from integrations.providers.contract import DeliveryReport, LookupRequest, ProviderError
from integrations.providers.reading import word
from smsmail import uptime

from .answers import Row, moment, parsed, report_of, sid_of, trouble_of
from .api import TwilioApi, log, message_path
from .matching import MessageSearch, WantedSms

PAGES = 20  # of one phone; then the look-up is given up

S = TypeVar("S")
T = TypeVar("T")


class TwilioLookup:
    """One look into the books. They are not filtered by date at Twilio's: a date of sending is missing
    while a message waits.
    """

    def __init__(self, api: TwilioApi, at_once: int) -> None:
        """at_once: requests side by side, as Provider.at_once."""
        self.api = api
        self.at_once = at_once
        self.deadline = uptime.clock() + settings.BATCH_DEADLINE
        self.troubles: list[ProviderError] = []

    def read(self, lookups: Sequence[LookupRequest]) -> list[DeliveryReport]:
        """Raises ProviderError when nothing could be read."""
        began = time.monotonic()
        search = MessageSearch.of(lookups)
        phones = search.phones
        lists = self._each(lambda phone: self._told(lambda: self._rows(phone)), phones)
        fates = self._each(lambda each: self._told(lambda: self._fetch(each)), search.known)
        reports = [report for some in fates if some for report in some]
        rows = {p: some for p, some in zip(phones, lists, strict=True) if some is not None}
        reports += search.read(rows, timezone.now())
        log("look-up", "", (str(report.status) for report in reports), began)
        if self.troubles and not reports:
            raise self.troubles[0]
        return reports

    def _each(self, do: Callable[[S], T], items: Sequence[S]) -> list[T]:
        return side_by_side(do, items, at_once=self.at_once, name="twilio")

    def _told(self, learn: Callable[[], T]) -> T | None:
        """None when it could not be learnt."""
        try:
            return learn()
        except ProviderError as trouble:
            self.troubles.append(trouble)
            return None

    def _fetch(self, wanted: WantedSms) -> list[DeliveryReport]:
        answer = self.api.get(message_path(wanted.asked.provider_id), self.deadline)
        row = parsed(answer)
        if answer.status != 200 or sid_of(row) != wanted.asked.provider_id:
            raise trouble_of(answer, row)
        report = report_of(wanted.reference, wanted.asked.phone, row)
        return [report] if report else []

    def _rows(self, phone: str) -> list[Row]:
        """Return all messages to a phone. Raises ProviderError unless it got all of them."""
        rows: list[Row] = []
        answer = self.api.messages(self.deadline, To=phone)
        for _page in range(PAGES):
            page = parsed(answer)
            some = page.get("messages")
            if answer.status != 200 or not isinstance(some, list):
                raise trouble_of(answer, page)
            if not all(isinstance(row, dict) and moment(row.get("date_created")) for row in some):
                raise trouble_of(answer, {})
            rows += some
            following = page.get("next_page_uri")
            if not following:
                return rows
            if not word(following).startswith("/"):
                break
            answer = self.api.following(following, self.deadline)
        raise trouble_of(answer, {})
