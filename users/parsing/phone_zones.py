"""The time zone of a phone, if its number determines exactly one. Pure.

Mobile phones of Russia and Kazakhstan may be in any of sixteen zones and determine nothing; land
lines, and countries with a single zone, do.
"""

import phonenumbers
from phonenumbers import timezone
from phonenumbers.phonenumberutil import is_number_type_geographical, number_type
from phonenumbers.tzdata import TIMEZONE_DATA

# Length of the E.164 prefix that determines zones: "+734321". Looking up every phone anew would
# take half a minute for a million people.
LONGEST = 8
SHORTEST = 3


_known: dict[str, str] = {}  # by prefix; some hundred thousand at most


def zone_of(phone: str) -> str:
    """Return the name of the only possible zone; '' if there are several or none."""
    prefix = phone[:LONGEST]
    if prefix not in _known:
        _known[prefix] = _asked(phone)
    return _known[prefix]


def tells(prefix: str, least: str, greatest: str) -> bool:
    """True if all phones with this prefix share one zone; least and greatest are their extremes."""
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
    """True for mobile phones of most countries: only the country code says where they are."""
    try:
        numbers = [phonenumbers.parse(phone) for phone in phones]
    except phonenumbers.NumberParseException:
        return False
    return all(
        not is_number_type_geographical(number_type(number), number.country_code or 0)
        for number in numbers
    )
