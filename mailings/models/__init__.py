"""The rows of this room: mailings and lots, messages and counters, links and clicks, the policy."""

from .arrival import Arrival
from .links import Click, ClickHour, Link
from .mailing import Dispatch, Mailing
from .message import Counters, Message
from .policy import ClockReading, Policy, SavedText

__all__ = [
    "Arrival",
    "Click",
    "ClickHour",
    "ClockReading",
    "Counters",
    "Dispatch",
    "Link",
    "Mailing",
    "Message",
    "Policy",
    "SavedText",
]
