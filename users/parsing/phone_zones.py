"""The time zone that a phone tells of: only where it tells of exactly one. Pure.

Mobiles of Russia and Kazakhstan may be anywhere in sixteen zones, and tell nothing; land lines, and
countries with one zone, do.
"""

import phonenumbers
from phonenumbers import timezone
from phonenumbers.phonenumberutil import is_number_type_geographical, number_type
from phonenumbers.tzdata import TIMEZONE_DATA

# Characters of E.164 by which zones are told apart here: "+734321". Asked for each phone anew, a
# million people would take half a minute.
LONGEST = 8
SHORTEST = 3


_known: dict[str, str] = {}  # by the first characters: some hundred thousand at the very most


def zone_of(phone: str) -> str:
    """The name of the one zone; '' when there are several, or none."""
    prefix = phone[:LONGEST]
    if prefix not in _known:
        _known[prefix] = _asked(phone)
    return _known[prefix]


def tells(prefix: str, least: str, greatest: str) -> bool:
    """Is the zone of all phones with this prefix that of the least and the greatest of them?"""
    if len(prefix) >= LONGEST or _by_country(least, greatest):
        return True
    return not any(key.startswith(prefix[1:]) and key != prefix[1:] for key in TIMEZONE_DATA)


def _asked(phone: str) -> str:
    try:
        zones = timezone.time_zones_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return ""
    return zones[0] if len(zones) == 1 and zones[0] != timezone.UNKNOWN_TIMEZONE else ""


def _by_country(*phones: str) -> bool:
    """Mobiles of most countries: no part of the number but the country says where."""
    try:
        numbers = [phonenumbers.parse(phone) for phone in phones]
    except phonenumbers.NumberParseException:
        return False
    return all(
        not is_number_type_geographical(number_type(number), number.country_code or 0)
        for number in numbers
    )
