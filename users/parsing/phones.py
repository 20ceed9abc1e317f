"""Turns a phone as people type it into E.164 with a verdict, or into a named error. Pure: no database, no
network.

The phone only has to exist in a numbering plan; whether it answers is for the SMS service to find out.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType, ValidationResult

from .phone_repairs import LONGEST_TYPED, BadPhone, Digits, PhoneError, digits_of

__all__ = [
    "LONGEST_TYPED",
    "BadPhone",
    "ParsedPhone",
    "PhoneError",
    "PhoneVerdict",
    "normalize",
    "understand",
]

LONGEST_E164 = 16  # the plus and 15 digits


class PhoneVerdict(StrEnum):
    """How certain it is that this phone was meant."""

    UNDERSTOOD = "understood"
    REPAIRED = "repaired"  # nothing else can be meant, but somebody may want to check it
    AMBIGUOUS = "ambiguous"  # a phone of another country looks the same; the likelier one is taken
    CUT_OFF = "cut_off"
    SEVERAL = "several"
    BAD = "bad"


class ParsedPhone(NamedTuple):
    """The result of reading a typed phone: a phone, or an error."""

    verdict: PhoneVerdict
    phone: str = ""  # E.164
    error: PhoneError | None = None


_UNUSABLE = {PhoneError.CUT_OFF: PhoneVerdict.CUT_OFF, PhoneError.SEVERAL: PhoneVerdict.SEVERAL}


def understand(raw: str, country: str) -> ParsedPhone:
    """Read a typed phone. `country` (two letters) applies to phones typed without a country code.
    Never raises.
    """
    try:
        return _understood(raw, country)
    except BadPhone as bad:
        return ParsedPhone(_UNUSABLE.get(bad.error, PhoneVerdict.BAD), error=bad.error)


def normalize(raw: str, country: str) -> str:
    """Return the E.164 phone, with '+', if understand() finds one. Raises BadPhone."""
    return _understood(raw, country).phone


def _understood(raw: str, country: str) -> ParsedPhone:
    """Try the text as typed, then with repairs of common slips: a lost plus (380...), 00 for plus,
    a plus before the national 8 (+8 998...), a prefix typed twice.
    """
    typed = digits_of(raw)
    bad: list[BadPhone] = []
    for reading in _readings(typed, country):
        try:
            phone = _read(reading.text, reading.region)
        except BadPhone as met:
            bad.append(met)
        else:
            if _is_ambiguous(typed, phone, country):
                return ParsedPhone(PhoneVerdict.AMBIGUOUS, phone)
            repaired = typed.repaired or reading.repaired
            return ParsedPhone(
                PhoneVerdict.REPAIRED if repaired else PhoneVerdict.UNDERSTOOD, phone
            )
    raise _most_helpful(bad, typed, country)


class _PossiblePhone(NamedTuple):
    text: str
    region: str | None
    repaired: bool = False


def _readings(typed: Digits, country: str) -> Iterator[_PossiblePhone]:
    """Yield what the digits may mean, likeliest first. A repair must never turn the mistyped phone
    of one country into the real phone of another: digits with the national prefix are national.
    """
    digits = typed.digits
    abroad, at_home = _PossiblePhone(f"+{digits}", None), _PossiblePhone(digits, country)
    if typed.plus:
        yield abroad
        if _is_national(digits, country):
            yield at_home._replace(repaired=True)
    elif digits.startswith("00"):
        yield _PossiblePhone(f"+{digits.lstrip('0')}", None)
        yield at_home
    elif _is_national(digits, country):
        yield at_home
    elif _has_own_code(digits, country):
        yield from (abroad, at_home)
    else:
        yield from (at_home, abroad)
    yield from _without_a_doubled_prefix(typed, country)


def _without_a_doubled_prefix(typed: Digits, country: str) -> Iterator[_PossiblePhone]:
    """8 8 916..., 8 7 916..., +7 7 916..., +7 (0) 916...: valid only without the first prefix, or
    without the zero.
    """
    prefix, code = _prefix(country), _code(country)
    digits = typed.digits
    for first in filter(None, (prefix, code)):
        rest = digits.removeprefix(first)
        if rest != digits and rest.startswith(tuple(filter(None, (prefix, code)))):
            yield _PossiblePhone(f"+{code}{_national_part(rest, country)}", None, repaired=True)
    if typed.plus and len(typed.groups) > 2 and typed.groups[1] == "0":
        yield _PossiblePhone(f"+{typed.groups[0]}{''.join(typed.groups[2:])}", None, repaired=True)


def _national_part(digits: str, country: str) -> str:
    prefix, code = _prefix(country), _code(country)
    for first in filter(None, (prefix, code)):
        if digits.startswith(first):
            return digits.removeprefix(first)
    return digits


def _has_own_code(digits: str, country: str) -> bool:
    """True if the phone was typed without the national prefix and begins with the country's own
    code, and that is likelier than a land line with the same digits (491512... is not a number in
    the town 04915).
    """
    code = _code(country)
    if not code or not digits.startswith(code):
        return False
    kind = _kind(digits, country)
    return kind is None or (
        kind != PhoneNumberType.MOBILE and _kind(f"+{digits}", None) is not None
    )


def _is_ambiguous(typed: Digits, phone: str, country: str) -> bool:
    """True if the phone was typed without a plus and is a land line at home but would be a mobile
    phone abroad.
    """
    if typed.plus or phone == f"+{typed.digits}":
        return False
    at_home = _kind(phone, None) == PhoneNumberType.FIXED_LINE
    return at_home and _kind(f"+{typed.digits}", None) == PhoneNumberType.MOBILE


def _kind(text: str, region: str | None) -> int | None:
    """Return the PhoneNumberType; None if the text is not a number there."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(number)
    return phonenumbers.number_type(number) if valid else None


def _is_national(digits: str, country: str) -> bool:
    prefix = _prefix(country)
    return bool(prefix) and digits.startswith(prefix)


@cache
def _prefix(country: str) -> str:
    """Return what people dial before a number inside the country ('8' in Russia); '' if nothing."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    return (metadata and metadata.national_prefix) or ""


@cache
def _code(country: str) -> str:
    return str(phonenumbers.country_code_for_region(country) or "")


POSSIBLE = {
    ValidationResult.TOO_SHORT: PhoneError.TOO_SHORT,
    ValidationResult.TOO_LONG: PhoneError.TOO_LONG,
    ValidationResult.INVALID_COUNTRY_CODE: PhoneError.NO_SUCH_COUNTRY,
}
PARSED = {
    phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: PhoneError.NO_SUCH_COUNTRY,
    phonenumbers.NumberParseException.TOO_LONG: PhoneError.TOO_LONG,
}


def _read(text: str, region: str | None) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise BadPhone(PARSED.get(error.error_type, PhoneError.TOO_SHORT)) from None
    if phonenumbers.is_valid_number(number):
        phone = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        # Some countries' plans contain (paging) numbers longer than E.164 allows.
        if len(phone) > LONGEST_E164:
            raise BadPhone(PhoneError.TOO_LONG)
        return phone
    raise BadPhone(_phone_error(number))


def _most_helpful(bad: list[BadPhone], typed: Digits, country: str) -> BadPhone:
    """The first reading is the likeliest, so its error helps most. Exceptions: two phones are not
    one phone with too many digits, and a number may have the right length in another reading.
    """
    first = bad[0]
    if first.error != PhoneError.TOO_LONG:
        return first
    if _is_two_phones(typed.groups, country):
        return BadPhone(PhoneError.SEVERAL)
    return next((each for each in bad if each.error == PhoneError.NO_SUCH_NUMBER), first)


def _is_two_phones(groups: tuple[str, ...], country: str) -> bool:
    for place in range(1, len(groups)):
        halves = "".join(groups[:place]), "".join(groups[place:])
        if all(len(half) >= 7 and _is_phone(half, country) for half in halves):
            return True
    return False


def _is_phone(digits: str, country: str) -> bool:
    return _kind(digits, country) is not None or _kind(f"+{digits}", None) is not None


def _phone_error(number: phonenumbers.PhoneNumber) -> PhoneError:
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != ValidationResult.INVALID_LENGTH:
        return POSSIBLE.get(possible, PhoneError.NO_SUCH_NUMBER)
    # The length is between the shortest and the longest of the country: compare it with a typical
    # mobile number.
    home = phonenumbers.region_code_for_country_code(number.country_code or 0)
    usual = phonenumbers.example_number_for_type(home, phonenumbers.PhoneNumberType.MOBILE)
    length = len(phonenumbers.national_significant_number(number))
    longer = usual and length > len(phonenumbers.national_significant_number(usual))
    return PhoneError.TOO_LONG if longer else PhoneError.TOO_SHORT
