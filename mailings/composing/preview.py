"""Previews a text: as a real person gets it, the longest and the shortest, its parts, recipients
and price; what would make it cheaper; and which service would send it. Read-only.
"""

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.conf import settings

from integrations.routing import cooldown, routing
from integrations.routing.status import title_of
from mailings.audience import audience, funnel, text_extremes
from mailings.audience.personalization import own_names, parsed_with
from mailings.audience.spec import AudienceSpec
from mailings.audience.text_extremes import Parts, Rendering
from mailings.models import Mailing
from mailings.text import bare_links, link_check, substitutions
from mailings.text import template as text
from mailings.text import wrapping as links
from mailings.text.tokens import Purpose
from mailings.text.wrapping import LinkPlace, Wrapping
from users.models import User
from users.segments.big_queries import AT_ONCE, TakesLong, over_everybody

from .forms import place_of

LOOKS = ("person", "longest", "shortest")
_OPEN = re.compile(r"\{[^{}\n]*$")  # a variable that is still being typed
NOT_WORTH = 40  # characters: nobody removes more from a text to save a part


@dataclass(frozen=True, slots=True)
class Look:
    """Whose message the preview shows: an ordinary person's (q is a name, e-mail or phone), or the
    longest or the shortest one.
    """

    kind: str = "person"
    q: str = ""

    @classmethod
    def asked(cls, data: Any) -> "Look":
        kind = data.get("look", "")
        return cls(kind if kind in LOOKS else "person", data.get("look_q", "")[:100])


@dataclass(frozen=True, slots=True)
class Cheaper:
    """The effect of a change of the text."""

    parts: int  # parts of the message shown
    saved: Decimal  # money saved for all messages; 0 if no price is known
    characters: int = 0  # how many to cut, if that is the change


class Preview:
    """A text and an audience, for templates. `body` is what the person would get, or the text as
    typed if it cannot be parsed. If counting takes longer than spec.patience, the funnel is None,
    the reader stands in for the person, and there are no totals.
    """

    def __init__(
        self,
        written: str,
        spec: AudienceSpec,
        reader: User,
        look: Look,
        wrapping: Wrapping,
    ) -> None:
        self.written = written
        self.wrapping = wrapping
        self.spec = spec
        self.look = look
        account = routing.current()
        self.part_price = account.price if account else Decimal(0)
        self.error = ""
        try:
            self.template: text.Template | None = self._parsed(written)
        except text.BadText as error:
            self.template = None
            if _OPEN.search(written) is None:
                self.error = place_of(written, error)
        self.found = True  # False: the search found nobody
        self.funnel: funnel.Funnel | None = None
        self.person = reader
        try:
            with over_everybody(spec.patience):
                self._count(reader)
        except TakesLong:
            self.funnel = None
        self.body = written
        if self.template is not None:
            self.body = self._rendering(self.template, self.person).body
        self.measure = text.measure(self.body)

    def _count(self, reader: User) -> None:
        """Run the queries over all people here, within spec.patience, so that no template runs
        them.
        """
        self.funnel = funnel.recent(self.spec)
        if self.people:
            self.person = self._person(reader)
            _asked = self.extremes, self.parts
        elif self.look.q:
            self.found = False

    @property
    def people(self) -> int:
        return self.funnel.will_receive if self.funnel else 0

    @property
    def in_a_moment(self) -> bool:
        """Return whether the people are not counted yet, so that the page may ask again with more patience."""
        return self.funnel is None and self.spec.patience == AT_ONCE

    @property
    def understood(self) -> bool:
        return self.template is not None

    @property
    def unicode(self) -> bool:
        return self.measure.encoding is text.Encoding.UCS2

    @cached_property
    def pieces(self) -> list[substitutions.CostlyRun]:
        if self.template is None:
            return substitutions.written_pieces(self.body)
        return substitutions.pieces(self.body)

    @property
    def written_pieces(self) -> list[substitutions.CostlyRun]:
        """Return the same runs for the text as it is typed, with the line breaks of its field."""
        return substitutions.written_pieces(self.written.replace("\r\n", "\n"))

    @property
    def marked(self) -> set[str]:
        return {piece.why for piece in self.pieces}

    @cached_property
    def extremes(self) -> text_extremes.Extremes | None:
        if self.template is None or not self.people:
            return None
        return text_extremes.extremes(self.spec, self.template)

    @property
    def longest(self) -> Rendering | None:
        """Return the longest message, if it takes more parts than the one shown."""
        if self.extremes and self.extremes.longest.measure.parts > self.measure.parts:
            return self.extremes.longest
        return None

    @cached_property
    def parts(self) -> Parts:
        """Return the parts of all messages together."""
        if self.template is None:
            return Parts(text.parts_of(self.written) * self.people, exact=False)
        return self._parts(self.template)

    @property
    def price(self) -> Decimal:
        """Return the price of all messages; 0 if no price is known."""
        return self.part_price * self.parts.total

    # --- what would make it cheaper ---------------------------------------------------------------
    @cached_property
    def signs(self) -> list[substitutions.Sign]:
        return substitutions.signs(self.written)

    @cached_property
    def plain(self) -> Cheaper | None:
        """Return the effect of replacing costly characters; None if it does not help."""
        return self._changed(substitutions.plain(self.written))

    @cached_property
    def latin(self) -> Cheaper | None:
        """Return the effect of transliteration; None if it does not help."""
        if not substitutions.in_another_script(self.body):
            return None
        return self._changed(substitutions.latin(self.written))

    @cached_property
    def shorter(self) -> Cheaper | None:
        """Return the effect of cutting the shown message by one part; None if that takes too many
        characters.
        """
        parts = self.measure.parts
        if self.template is None or parts < 2:
            return None
        for cut in range(1, NOT_WORTH + 1):
            if text.parts_of(self.body[:-cut]) < parts:
                others = self._parts(self.template, cut)
                return Cheaper(parts - 1, self._saved(others), cut)
        return None

    @cached_property
    def links(self) -> tuple[LinkPlace, ...]:
        """Return what becomes of each link; empty if all links stay as they are."""
        try:
            return links.wrap(self.written, self.wrapping).places if self.wrapping else ()
        except text.BadText:
            return ()

    @property
    def signs_nobody_in(self) -> str:
        """If links are to sign in but none leads to this site, return how such a link would begin;
        else ''.
        """
        purposes = {place.purpose for place in self.links}
        wanted = self.wrapping.sign_in and Purpose.SIGN_IN not in purposes
        return f"{settings.PUBLIC_URL}/" if wanted else ""

    @cached_property
    def link_lines(self) -> list[tuple[link_check.CheckedLink, LinkPlace | None]]:
        """Return where each link leads, or why it cannot work, and what becomes of it."""
        places = {place.url: place for place in self.links}
        lines = link_check.lines(self.written, self.wrapping)
        return [(line, places.get(line.url)) for line in lines]

    @property
    def dead_links(self) -> list[link_check.CheckedLink]:
        return [line for line, _place in self.link_lines if line.faults]

    @property
    def bare_links(self) -> list[str]:
        """Return the links without a scheme, except those that are reported as mistyped."""
        said = {line.written for line in self.dead_links}
        return [each for each in bare_links.bare_links(self.written) if each not in said]

    def _parsed(self, written: str) -> text.Template:
        return parsed_with(self.names, written, self.wrapping)

    # --- what a notification does otherwise (notifications/preview.py) --------------------------------------
    @cached_property
    def names(self) -> list[str]:
        """Return what the text may name beside the variables of every text."""
        return own_names()

    def _rendering(self, template: text.Template, person: User) -> Rendering:
        return text_extremes.rendering(template, person)

    def _changed(self, changed: str) -> Cheaper | None:
        """Return None if the change does not help."""
        if changed == self.written:
            return None
        try:
            template = self._parsed(changed)
        except text.BadText:
            return None
        measure = self._rendering(template, self.person).measure
        if measure.parts >= self.measure.parts and (measure.culprits or not self.unicode):
            return None
        others = self._parts(template)
        return Cheaper(measure.parts, self._saved(others))

    def _parts(self, template: text.Template, cut: int = 0) -> Parts:
        some = self._some if self.people and template.slots else None
        return text_extremes.parts(self.spec, template, self.people, cut=cut, some=some)

    @cached_property
    def _some(self) -> list[User]:
        return text_extremes.sample(self.spec, self.people)

    def _saved(self, others: Parts) -> Decimal:
        return max(self.parts.total - others.total, 0) * self.part_price

    def _person(self, reader: User) -> User:
        """Return the person to show; the reader stands in if there is nobody."""
        kind = self.look.kind
        if kind != "person" and self.extremes is not None:
            end = self.extremes.longest if kind == "longest" else self.extremes.shortest
            return end.person
        if self.look.q:
            wanted = audience.sample(self.spec, self.look.q)
            if wanted is not None:
                return wanted
            self.found = False
        return audience.sample(self.spec) or reader


def preview_of(
    written: str,
    spec: Mailing | AudienceSpec,
    reader: User,
    look: Look | None = None,
    wrapping: Wrapping | None = None,
    *,
    patience: float | None = None,
) -> Preview:
    """Return the preview. `patience` is how many seconds one query about all people may take; None:
    no limit.
    """
    if isinstance(spec, Mailing):
        wrapping = spec.wrapping
        spec = AudienceSpec.of(spec)
    spec = replace(spec, patience=patience)
    return Preview(written, spec, reader, look or Look(), wrapping or Wrapping())


def service() -> dict[str, Any]:
    """Return for templates: the account with priority, why it does not send, and which account
    stands in.
    """
    accounts = routing.connected()
    if not accounts:
        return {"account": None, "rest": None}
    account, sender = accounts[0], routing.sender_of(accounts)
    return {
        "account": account,
        "service": title_of(account),
        "rest": account.rest_about if cooldown.is_on(account) else None,
        "stands_in": title_of(sender) if sender and sender != account else "",
        "low": account.balance_is_low,
    }
