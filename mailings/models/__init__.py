"""The rows of this room: mailings and lots, messages and counters, links and clicks, the policy,
and what is known of a restored copy.
"""

from .arrival import Arrival
from .links import Click, ClickHour, Link
from .mailing import Dispatch, Mailing
from .message import Counters, Message
from .policy import ClockReading, Policy, SavedText
from .restoration import BooksSweep, Epoch, Restoration, UnclaimedSms

__all__ = [
    "Arrival",
    "BooksSweep",
    "Click",
    "ClickHour",
    "ClockReading",
    "Counters",
    "Dispatch",
    "Epoch",
    "Link",
    "Mailing",
    "Message",
    "Policy",
    "Restoration",
    "SavedText",
    "UnclaimedSms",
]
