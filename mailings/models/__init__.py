"""The rows of this room: mailings and lots, messages and counters, links and clicks, the policy."""

from .links import Click, ClickHour, Link
from .mailing import Dispatch, Mailing
from .message import Counters, Message
from .policy import Policy, SavedText

__all__ = [
    "Click",
    "ClickHour",
    "Counters",
    "Dispatch",
    "Link",
    "Mailing",
    "Message",
    "Policy",
    "SavedText",
]
