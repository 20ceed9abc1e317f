"""The models of the app: mailings and batches, messages and counters, links and clicks, the policy,
and what is known of a restored copy.
"""

from .arrival import Arrival
from .links import Click, ClickHour, Link
from .mailing import Batch, Mailing
from .message import Counters, Message
from .policy import ClockReading, Policy, SavedText
from .restoration import BooksSweep, Epoch, Restoration, UnclaimedSms

__all__ = [
    "Arrival",
    "Batch",
    "BooksSweep",
    "Click",
    "ClickHour",
    "ClockReading",
    "Counters",
    "Epoch",
    "Link",
    "Mailing",
    "Message",
    "Policy",
    "Restoration",
    "SavedText",
    "UnclaimedSms",
]
