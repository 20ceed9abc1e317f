"""What Twilio refuses of a new message, and what its list leaves out, as its documents say. Pure."""

import ipaddress
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from tests.emulators.twilio_rows import REFUSED, SERVICE, Row

NUMBERS = ("+15005550006", "+14155550100")  # of the account
OF_OTHERS = ("+14155550199",)  # Twilio numbers of another account


class TwilioError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Ground:
    """What the account has. loopback: our own webhook on this machine may be called back, which the
    real service never does.
    """

    numbers: Collection[str] = NUMBERS
    of_others: Collection[str] = OF_OTHERS
    loopback: bool = False


def check(fields: Mapping[str, str], ground: Ground) -> None:
    """The recipient first. What it says to a time without a type is not in the documents: refused
    here, so that nobody relies on it.
    """
    to, service = fields.get("To", ""), fields.get("MessagingServiceSid", "")
    sender, body = fields.get("From", ""), fields.get("Body", "")
    callback = fields.get("StatusCallback", "")
    schedule, send_at = fields.get("ScheduleType", ""), fields.get("SendAt", "")
    for wrong, code in (
        (not to, 21604),
        (not re.fullmatch(r"\+[1-9][0-9]{6,14}", to), 21211),
        (to[-2:] in REFUSED, REFUSED.get(to[-2:], 0)),
        (not sender and not service, 21603),
        (bool(service) and service != SERVICE, 21701),
        (bool(sender) and to == sender, 21266),
        (bool(sender), _about_sender(sender, to, ground)),
        (not body and not fields.get("MediaUrl") and not fields.get("ContentSid"), 21619),
        (len(body) > 1600, 21617),
        (bool(callback) and not _public(callback, ground), 21609),
        (not _whole(fields.get("ValidityPeriod", "36000"), 1, 36000), 21624),
        (schedule not in {"", "fixed"}, 20001),
        (bool(schedule) != bool(send_at), 35111),
        (bool(send_at) and not service, 35118),
        (bool(send_at) and not _in_time(send_at), 35114),
    ):
        if wrong and code:
            raise TwilioError(code)


def _about_sender(sender: str, to: str, ground: Ground) -> int:
    """0 when it may send. Registered names begin with a # in Hong Kong."""
    if re.fullmatch(r"\+?[0-9]+", sender):
        if sender in ground.of_others:
            return 21660
        return 0 if sender in ground.numbers else 21659
    if to.startswith("+852"):
        sender = sender.removeprefix("#")
    letters = re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}", sender)
    return 0 if letters else 21212


def _public(url: str, ground: Ground) -> bool:
    """An address that Twilio could reach; no host with an underscore."""
    if not re.fullmatch(r"https?://[^_/\s]+(/\S*)?", url):
        return False
    host = urlsplit(url).hostname or ""
    try:
        near = not ipaddress.ip_address(host).is_global
    except ValueError:
        near = "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return not near or ground.loopback


def _whole(text: str, least: int, most: int) -> bool:
    return re.fullmatch(r"[0-9]{1,9}", text) is not None and least <= int(text) <= most


def _in_time(send_at: str) -> bool:
    try:
        ahead = datetime.fromisoformat(send_at).timestamp() - time.time()
    except ValueError:
        return False
    return 300 <= ahead <= 35 * 24 * 3600


def listed(row: Row, fields: Mapping[str, str], now: float) -> bool:
    """Is it among what these filters let through? What has not been sent has no date to be found by."""
    if fields.get("From") and row.sender != fields["From"]:
        return False
    for name, value in fields.items():
        if name in {"DateSent", "DateSent>", "DateSent<"} and value:
            at = row.date_sent(now)
            if at is None or not _dated(name, value, at):
                return False
    return True


def _dated(name: str, value: str, at: float) -> bool:
    """A day, or a moment; both ends belong to it."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise TwilioError(20001) from error
    start = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    end = start + timedelta(days=1) if len(value) == 10 else start
    if name == "DateSent":
        return start.timestamp() <= at < (start + timedelta(days=1)).timestamp()
    return at >= start.timestamp() if name == "DateSent>" else at <= end.timestamp()
