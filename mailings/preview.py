"""What a text would come to: as a real person gets it, as the longest and the shortest, in parts,
people and money; what would make it cheaper; and which service would carry it. Reads only.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.conf import settings

from integrations import router
from integrations.standing import title_of
from users.models import User

from . import alphabet, audience, bare_links, extremes, links, text
from .extremes import Parts, Rendering
from .links import Place, Wrapping
from .models import Mailing
from .tokens import Purpose
from .values import parsed

LOOKS = ("person", "longest", "shortest")
NOT_WORTH = 40  # characters: nobody cuts more out of a text to save a part


@dataclass(frozen=True, slots=True)
class Look:
    """As whom the text is shown: an ordinary person (q: whose name, e-mail or phone it is), or
    whoever gets the longest or the shortest.
    """

    kind: str = "person"
    q: str = ""

    @classmethod
    def asked(cls, data: Any) -> "Look":
        kind = data.get("look", "")
        return cls(kind if kind in LOOKS else "person", data.get("look_q", "")[:100])


@dataclass(frozen=True, slots=True)
class Cheaper:
    """What a change of the text would bring."""

    parts: int  # of the message shown
    saved: Decimal  # for everybody; 0 when no price is known
    characters: int = 0  # to be cut, where that is the change


class Preview:
    """A text and a choice of people, for templates. body is what the person would get; where the text
    cannot be understood, as it was typed.
    """

    def __init__(
        self,
        written: str,
        choice: audience.Choice,
        reader: User,
        look: Look,
        wrapping: Wrapping,
    ) -> None:
        self.written = written
        self.wrapping = wrapping
        self.choice = choice
        self.look = look
        self.funnel = audience.recent_funnel(choice) if choice.typed else audience.funnel(choice)
        account = router.current()
        self.part_price = account.price if account else Decimal(0)
        try:
            self.template: text.Template | None = parsed(written, wrapping)
        except text.BadText:
            self.template = None
        self.found = True  # whoever was looked for
        self.person = self._person(reader)
        self.body = written
        if self.template is not None:
            self.body = extremes.rendering(self.template, self.person).body
        self.measure = text.measure(self.body)

    @property
    def understood(self) -> bool:
        return self.template is not None

    @property
    def unicode(self) -> bool:
        return self.measure.encoding is text.Encoding.UCS2

    @property
    def pieces(self) -> list[alphabet.Piece]:
        return alphabet.pieces(self.body)

    @property
    def marked(self) -> set[str]:
        return {piece.why for piece in self.pieces}

    @cached_property
    def extremes(self) -> extremes.Extremes | None:
        return extremes.extremes(self.choice, self.template) if self.template else None

    @property
    def longest(self) -> Rendering | None:
        """Whose message takes more parts than the one shown."""
        if self.extremes and self.extremes.longest.measure.parts > self.measure.parts:
            return self.extremes.longest
        return None

    @cached_property
    def parts(self) -> Parts:
        """Of all messages together."""
        people = self.funnel.will_receive
        if self.template is None:
            return Parts(self.measure.parts * people, exact=False)
        return extremes.parts(self.choice, self.template, people)

    @property
    def price(self) -> Decimal:
        """For everybody; 0 when no price is known."""
        return self.part_price * self.parts.total

    # --- what would make it cheaper ---------------------------------------------------------------
    @property
    def signs(self) -> list[alphabet.Sign]:
        return alphabet.signs(self.written)

    @cached_property
    def plain(self) -> Cheaper | None:
        """Signs replaced by their equals."""
        return self._changed(alphabet.plain(self.written))

    @cached_property
    def latin(self) -> Cheaper | None:
        """Transliterated."""
        if not alphabet.in_another_script(self.body):
            return None
        return self._changed(alphabet.latin(self.written))

    @cached_property
    def shorter(self) -> Cheaper | None:
        """One part less for the message shown."""
        parts = self.measure.parts
        if self.template is None or parts < 2:
            return None
        for cut in range(1, NOT_WORTH + 1):
            if text.parts_of(self.body[:-cut]) < parts:
                people = self.funnel.will_receive
                others = extremes.parts(self.choice, self.template, people, cut=cut)
                return Cheaper(parts - 1, self._saved(others), cut)
        return None

    @cached_property
    def links(self) -> tuple[Place, ...]:
        """What becomes of each link; none when all stay as they are."""
        try:
            return links.wrap(self.written, self.wrapping).places if self.wrapping else ()
        except text.BadText:
            return ()

    @property
    def signs_nobody_in(self) -> str:
        """Links shall sign in, and none leads here: how one begins that would; '' when all is well."""
        purposes = {place.purpose for place in self.links}
        wanted = self.wrapping.sign_in and Purpose.SIGN_IN not in purposes
        return f"{settings.PUBLIC_URL}/" if wanted else ""

    @property
    def bare_links(self) -> list[str]:
        return bare_links.bare_links(self.written)

    def _changed(self, changed: str) -> Cheaper | None:
        """None when the change does not help."""
        if changed == self.written:
            return None
        try:
            template = parsed(changed, self.wrapping)
        except text.BadText:
            return None
        measure = extremes.rendering(template, self.person).measure
        if measure.parts >= self.measure.parts and (measure.culprits or not self.unicode):
            return None
        others = extremes.parts(self.choice, template, self.funnel.will_receive)
        return Cheaper(measure.parts, self._saved(others))

    def _saved(self, others: Parts) -> Decimal:
        return max(self.parts.total - others.total, 0) * self.part_price

    def _person(self, reader: User) -> User:
        """The reader stands in while there is nobody."""
        kind = self.look.kind
        if kind != "person" and self.extremes is not None:
            end = self.extremes.longest if kind == "longest" else self.extremes.shortest
            return end.person
        if self.look.q:
            wanted = audience.sample(self.choice, self.look.q)
            if wanted is not None:
                return wanted
            self.found = False
        return audience.sample(self.choice) or reader


def preview_of(
    written: str,
    choice: Mailing | audience.Choice,
    reader: User,
    look: Look | None = None,
    wrapping: Wrapping | None = None,
) -> Preview:
    if isinstance(choice, Mailing):
        wrapping = choice.wrapping
        choice = audience.Choice.of(choice)
    return Preview(written, choice, reader, look or Look(), wrapping or Wrapping())


def service() -> dict[str, Any]:
    """For templates: the account with priority, what keeps it from sending, and who stands in."""
    accounts = router.connected()
    if not accounts:
        return {"account": None, "rest": None}
    account, sender = accounts[0], router.sender_of(accounts)
    return {
        "account": account,
        "service": title_of(account),
        "rest": account.rest_about if router.rests(account) else None,
        "stands_in": title_of(sender) if sender and sender != account else "",
        "low": account.balance_is_low,
    }
