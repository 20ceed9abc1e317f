"""The one door to the network: deadlines, and every failure sorted into "surely not sent" or
"may have arrived". No retries, no redirects followed, no proxies from the environment.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import requests
import urllib3
from django.conf import settings


class Failure(StrEnum):
    """Why there is no answer."""

    UNSENT = "unsent"  # nothing of the request can have been acted on
    UNKNOWN = "unknown"  # it may have been


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0 with a failure when nothing usable did."""

    status: int
    body: str = ""
    failure: Failure | None = None
    error: str = ""  # the class of the error, never its text: that may hold an address or a phone


def clock() -> float:
    """Seconds that also run while the machine is suspended, unlike time.monotonic() on Linux."""
    return (
        time.clock_gettime(time.CLOCK_BOOTTIME)
        if hasattr(time, "CLOCK_BOOTTIME")
        else time.monotonic()
    )
