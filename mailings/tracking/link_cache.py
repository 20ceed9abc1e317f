"""What this process remembers of messages and links, so that a short link leads on while the database
is locked or away. Filled by the clicks that came before; asks the database about what is new.
"""

import threading
from array import array
from collections import OrderedDict
from dataclasses import dataclass

from mailings.models import Mailing, Message
from mailings.text.tokens import Token
from smsmail.web import query

from . import link_rows

BLOCK = 4096  # neighbouring messages, looked up at once: ids of one mailing mostly stand together
BLOCKS = 512  # kept: 2 million messages, 16 MB
MAILINGS = 1000

_lock = threading.Lock()
_blocks: "OrderedDict[int, array[int]]" = OrderedDict()
_links: OrderedDict[int, dict[int, str]] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Whose message a link stands in, and where it leads, as written."""

    mailing: int
    url: str


class NotRemembered(Exception):
    """It is not known here, and the database shall not be asked."""


def find(token: Token, *, ask: bool = True) -> Whereabouts | None:
    """None for a message or a link that is gone. Raises DatabaseError, and without ask NotRemembered."""
    mailing = _mailing_of(token.message, ask)
    if mailing is None:
        return None
    url = _links_of(mailing, token.message, ask).get(token.position)
    return Whereabouts(mailing, url) if url is not None else None


def forget() -> None:
    with _lock:
        _blocks.clear()
        _links.clear()


def _mailing_of(message: int, ask: bool) -> int | None:
    """Exact for each message: the rows of two mailings may stand between each other."""
    number, place = divmod(message, BLOCK)
    with _lock:
        block = _blocks.get(number)
        if block is not None and block[place]:
            _blocks.move_to_end(number)
            return block[place]
    if not ask:
        raise NotRemembered
    # Not asked yet, or written since.
    first = number * BLOCK
    rows = Message.objects.filter(id__gte=first, id__lt=first + BLOCK)
    block = array("q", bytes(8 * BLOCK))
    for each, mailing in rows.values_list("id", "mailing_id"):
        block[each - first] = mailing
    with _lock:
        _blocks[number] = block
        _blocks.move_to_end(number)
        while len(_blocks) > BLOCKS:
            _blocks.popitem(last=False)
    return block[place] or None


def _links_of(mailing: int, message: int, ask: bool) -> dict[int, str]:
    with _lock:
        found = _links.get(mailing)
        if found is not None:
            return found
    if not ask:
        raise NotRemembered
    row = Mailing.objects.filter(id=mailing).first()
    if row is not None and row.kind == Mailing.Kind.TEST:
        row = _tried_out(message)
    if row is None:
        return {}
    written = link_rows.of(row)
    if row.launched_at is not None:  # until then it may change
        with _lock:
            _links[row.id] = written
            while len(_links) > MAILINGS:
                _links.popitem(last=False)
    return written


def _tried_out(message: int) -> Mailing | None:
    """The mailing of a test message: its number stands in the key."""
    key = Message.objects.filter(id=message).values_list("key", flat=True).first()
    number = query.number((key or "").partition(":")[2].partition(":")[0])
    return None if number is None else Mailing.objects.filter(id=number).first()
