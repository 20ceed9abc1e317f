"""A phone as people type it -> E.164, or a named complaint. Pure: no database, no network.

Whether the number answers is the SMS service's to say; here it only has to exist in a numbering plan.
"""

import re
import unicodedata

import phonenumbers
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from phonenumbers import PhoneNumberFormat, ValidationResult


class Complaint(TextChoices):
    """What is wrong with a phone, in words for whoever typed it."""

    EMPTY = "empty", _("There is no phone here.")
    SEVERAL = "several", _("These are several phones. Write one.")
    LETTERS = "letters", _("A phone has only digits. Remove the letters and other signs.")
    TOO_SHORT = "too_short", _("Digits are missing.")
    TOO_LONG = "too_long", _("There are too many digits.")
    NO_SUCH_COUNTRY = "no_such_country", _("There is no country with this code.")
    NO_SUCH_NUMBER = (
        "no_such_number",
        _("There are no such numbers in this country. Check every digit."),
    )


class BadPhone(ValueError):
    """Not a phone. The complaint says why; the phone itself is not in the text, for the logs."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.value)
        self.complaint = complaint


LONGEST_TYPED = 64
LONGEST_E164 = 16  # the plus and 15 digits
SEPARATORS = re.compile(r"[,;/\\|\n]")
# What people put between digits: any space or dash, brackets, dots, and invisible marks from copying.
DECORATION = re.compile(
    r"[\s()\[\].·~_\-\u2010-\u2015\u2212\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)


def normalize(raw: str, country: str) -> str:
    """E.164 with '+'. country (two letters) is for phones written without one. Raises BadPhone.

    What is typed is tried as it stands, then with the repairs of usual slips: the plus lost
    (380...), 00 for plus, the plus before the national 8 (+8 998...).
    """
    complaints = []
    for text, region in _readings(*_digits(raw), country):
        try:
            return _read(text, region)
        except BadPhone as bad:
            complaints.append(bad)
    # The first reading is what was most likely meant, so its complaint helps most.
    raise complaints[0]


# Numbers that cost like satellites or are answered by nobody, whatever their country's plan calls
# them: the world's own codes (Inmarsat, Iridium, Thuraya, networks at sea and in the air, premium and
# freephone), and Ascension, which is reached by satellite only.
FAR_CODES = frozenset({247, 800, 808, 870, 878, 881, 882, 883, 888, 979})
COUNTRIES = frozenset(phonenumbers.SUPPORTED_REGIONS)
_Type = phonenumbers.PhoneNumberType
_ORDINARY = (_Type.UNKNOWN, _Type.MOBILE, _Type.FIXED_LINE_OR_MOBILE)
_LANDLINES = (_Type.FIXED_LINE, _Type.VOIP)
MOBILE, LANDLINE, BARRED = "m:", "f:", "x:"


def class_of(phone: str) -> str:
    """Of an E.164 phone: the kind and the country, as in "m:RU"; kept beside it (User.phone_class).

    MOBILE: an ordinary one. LANDLINE: also numbers of internet telephony. BARRED: satellite, premium
    rate, shared cost, freephone, personal, pager, voice mail, company numbers: no SMS ever goes there.
    '' for what is no phone.
    """
    if not phone.startswith("+"):
        return ""
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return ""
    country = phonenumbers.region_code_for_number(
        number
    ) or phonenumbers.region_code_for_country_code(number.country_code or 0)
    if number.country_code in FAR_CODES:
        return f"{BARRED}{country}"
    kind = phonenumbers.number_type(number)
    if kind in _ORDINARY:  # what is in no table of ours (unknown) is the SMS service's to judge
        return f"{MOBILE}{country}"
    return f"{LANDLINE if kind in _LANDLINES else BARRED}{country}"


def is_barred(phone: str) -> bool:
    return class_of(phone).startswith(BARRED)


def _readings(digits: str, plus: bool, country: str) -> list[tuple[str, str | None]]:
    """What the digits may mean, likeliest first. A repair must never turn the mistyped phone of
    one country into the true phone of another: what starts with the national prefix is national.
    """
    abroad, at_home = (f"+{digits}", None), (digits, country)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    prefix = metadata and metadata.national_prefix
    national = bool(prefix) and digits.startswith(prefix or "")
    if plus:
        return [abroad, at_home] if national else [abroad]
    if digits.startswith("00"):
        return [(f"+{digits.lstrip('0')}", None), at_home]
    return [at_home] if national else [at_home, abroad]


def _digits(raw: str) -> tuple[str, bool]:
    """The digits alone, and whether a plus stood before them."""
    text = unicodedata.normalize("NFKC", raw[: LONGEST_TYPED + 1]).strip()
    bare = DECORATION.sub("", text)
    if not bare.strip("+"):
        raise BadPhone(Complaint.EMPTY)
    if SEPARATORS.search(text) or "+" in bare[1:]:
        raise BadPhone(Complaint.SEVERAL)
    plus = bare.startswith("+")
    digits = bare.removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        raise BadPhone(Complaint.LETTERS)
    if len(raw) > LONGEST_TYPED:
        raise BadPhone(Complaint.TOO_LONG)
    return digits, plus


POSSIBLE = {
    ValidationResult.TOO_SHORT: Complaint.TOO_SHORT,
    ValidationResult.TOO_LONG: Complaint.TOO_LONG,
    ValidationResult.INVALID_COUNTRY_CODE: Complaint.NO_SUCH_COUNTRY,
}
PARSED = {
    phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: Complaint.NO_SUCH_COUNTRY,
    phonenumbers.NumberParseException.TOO_LONG: Complaint.TOO_LONG,
}


def _read(text: str, region: str | None) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise BadPhone(PARSED.get(error.error_type, Complaint.TOO_SHORT)) from None
    if phonenumbers.is_valid_number(number):
        phone = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        # Some countries' plans hold (paging) numbers longer than E.164 allows.
        if len(phone) > LONGEST_E164:
            raise BadPhone(Complaint.TOO_LONG)
        return phone
    raise BadPhone(_complaint(number))


def _complaint(number: phonenumbers.PhoneNumber) -> Complaint:
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != ValidationResult.INVALID_LENGTH:
        return POSSIBLE.get(possible, Complaint.NO_SUCH_NUMBER)
    # Between the shortest and the longest of the country: what a usual one has decides.
    home = phonenumbers.region_code_for_country_code(number.country_code or 0)
    usual = phonenumbers.example_number_for_type(home, phonenumbers.PhoneNumberType.MOBILE)
    length = len(phonenumbers.national_significant_number(number))
    longer = usual and length > len(phonenumbers.national_significant_number(usual))
    return Complaint.TOO_LONG if longer else Complaint.TOO_SHORT
