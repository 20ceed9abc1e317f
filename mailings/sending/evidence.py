"""Judges what one look-up in a provider's records has shown. A missing message proves nothing by
itself: the records may belong to another login or to other days, or be cut short or empty. It counts
when the same look-up shows a witness and the provider's clock agrees with ours. No database here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from integrations.providers.base import Provider
from integrations.providers.contract import DeliveryReport, DeliveryStatus, LookupRequest
from integrations.routing import service_clock
from mailings.models import Batch

Doubt = Batch.Doubt
# Seconds from the claim. After LATE, the provider was slow to take a message; after TOO_LATE, it kept
# the message until a set time, or our clock was wrong.
LATE, TOO_LATE = 120, 3600


class Heard:
    """The questions and answers of one look-up, by our references."""

    def __init__(self, lookups: Iterable[LookupRequest]) -> None:
        self.lookups = {lookup.reference: lookup for lookup in lookups}
        self.told: dict[str, set[str]] = defaultdict(set)
        self.missing: dict[str, set[str]] = defaultdict(set)
        self.doubts: dict[str, str] = {}
        self.read_to: dict[str, str] = {}
        # Batches that fail on our side: they are set aside, and nothing is concluded about them.
        self.broken: set[str] = set()

    # --- the question ------------------------------------------------------------------------
    def change(self, reference: str, **fields: Any) -> None:
        """Replace fields of one look-up request."""
        self.lookups[reference] = replace(self.lookups[reference], **fields)

    def change_all(self, **fields: Any) -> None:
        """Replace fields of every look-up request."""
        for reference in self.lookups:
            self.change(reference, **fields)

    @property
    def without_id(self) -> set[tuple[str, str]]:
        """Return (reference, phone) of the messages without a provider id. A provider that does not
        store our references can only guess which of its records belong to them.
        """
        return {
            (lookup.reference, each.phone)
            for lookup in self.lookups.values()
            for each in lookup.asked
            if not each.provider_id
        }

    # --- the answer --------------------------------------------------------------------------
    def doubt(self, doubt: Doubt) -> None:
        """Doubt the answers about all batches."""
        self.doubts = dict.fromkeys(self.lookups, doubt)

    def take(self, reports: Collection[DeliveryReport], provider: Provider) -> None:
        """Take in the reports. A message that was found is certain; a missing one may be doubted."""
        for report in reports:
            self.told[report.reference].add(report.phone)
            if report.status == DeliveryStatus.NOT_FOUND:
                self.missing[report.reference].add(report.phone)
        self.read_to = {
            reference: place
            for reference, place in provider.read_to.items()
            if reference in self.lookups
        }
        doubts = {each: self._doubt_of(asked, provider) for each, asked in self.lookups.items()}
        for reference, doubt in doubts.items():
            if doubt:
                self.missing.pop(reference, None)
            elif not provider.books_are_sure and not self._told_all(self.lookups[reference]):
                doubts[reference] = Doubt.NO_PROOF  # about some of the messages
        self.doubts = {reference: doubt for reference, doubt in doubts.items() if doubt}

    def answered(self, reference: str) -> bool:
        """Was there a report on every message of the batch, and can all of them be believed?"""
        lookup = self.lookups.get(reference)
        if lookup is None:  # the batch had no open message to ask about
            return True
        return reference not in self.doubts and self._told_all(lookup)

    def lateness(self, reports: Iterable[DeliveryReport], references: Collection[str]) -> float:
        """Return the greatest delay, in seconds, with which the provider took a message of these
        batches; 0 when none was between LATE and TOO_LATE.
        """
        late = [
            (report.at - self.lookups[report.reference].since).total_seconds()
            for report in reports
            if report.at is not None and report.reference in references & self.lookups.keys()
        ]
        return max((seconds for seconds in late if LATE < seconds < TOO_LATE), default=0)

    def _told_all(self, lookup: LookupRequest) -> bool:
        return self.told[lookup.reference].issuperset(lookup.phones)

    def _doubt_of(self, lookup: LookupRequest, provider: Provider) -> str:
        if lookup.reference in self.read_to:
            return Doubt.READING
        if provider.books_are_sure:
            return ""
        missing = self.missing[lookup.reference]
        if not missing and self._told_all(lookup):
            return ""
        clock = self._doubt_of_clock(provider)
        return clock or (self._doubt_of_books(lookup, provider) if missing else "")

    def _doubt_of_clock(self, provider: Provider) -> str:
        off = provider.clock_off
        return Doubt.CLOCK if off is not None and abs(off) > service_clock.CLOCK_TOLERANCE else ""

    def _doubt_of_books(self, lookup: LookupRequest, provider: Provider) -> str:
        """Doubt whether the records would show a message. Without a witness there is no proof, nor from
        a provider that does not tell its time: its records may not include today.
        """
        witness = lookup.witness
        if witness is None or provider.clock_off is None:
            return Doubt.NO_PROOF
        told, missing = self.told[witness.reference], self.missing.get(witness.reference, ())
        return "" if witness.phone in told and witness.phone not in missing else Doubt.NO_PROOF
