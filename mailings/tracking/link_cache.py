"""In-process cache from message id to mailing id, and from mailing id to the URLs of its links. Redirects
work with it while the database is locked or down. Earlier clicks fill it; anything else is queried.
"""

import threading
from array import array
from collections import OrderedDict
from dataclasses import dataclass

from mailings.models import Mailing, Message
from mailings.text.tokens import Token
from smsmail.web import query

from . import link_rows

BLOCK = 4096  # neighbouring message ids in one query: ids of one mailing are mostly adjacent
BLOCKS = 512  # blocks that are kept: 2 million messages, 16 MB
MAILINGS = 1000  # mailings whose links are kept

_lock = threading.Lock()
_blocks: "OrderedDict[int, array[int]]" = OrderedDict()
_links: OrderedDict[int, dict[int, str]] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The mailing of the message that a link is in, and the URL of the link, as written in the text."""

    mailing: int
    url: str


class NotRemembered(Exception):
    """The link is not in the cache, and the database must not be queried (ask=False)."""


def find(token: Token, *, ask: bool = True) -> Whereabouts | None:
    """Find the mailing and URL of a link; None for a message or a link that is gone. Raises
    DatabaseError, and NotRemembered if `ask` is false.
    """
    mailing = _mailing_of(token.message, ask)
    if mailing is None:
        return None
    url = _links_of(mailing, token.message, ask).get(token.position)
    return Whereabouts(mailing, url) if url is not None else None


def forget() -> None:
    """Empty the cache."""
    with _lock:
        _blocks.clear()
        _links.clear()


def _mailing_of(message: int, ask: bool) -> int | None:
    """Return the mailing id of a message. The cache has one entry per message, because the ids of two
    mailings may be interleaved.
    """
    number, place = divmod(message, BLOCK)
    with _lock:
        block = _blocks.get(number)
        if block is not None and block[place]:
            _blocks.move_to_end(number)
            return block[place]
    if not ask:
        raise NotRemembered
    # The block was not queried yet, or the message is newer.
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
    if row.launched_at is not None:  # the links of a draft may still change
        with _lock:
            _links[row.id] = written
            while len(_links) > MAILINGS:
                _links.popitem(last=False)
    return written


def _tried_out(message: int) -> Mailing | None:
    """Return the mailing that a test message tries out; the message key contains its id."""
    key = Message.objects.filter(id=message).values_list("key", flat=True).first()
    number = query.number((key or "").partition(":")[2].partition(":")[0])
    return None if number is None else Mailing.objects.filter(id=number).first()
