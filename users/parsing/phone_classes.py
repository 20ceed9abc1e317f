"""The kind and country of a phone number. Pure: no database, no network."""

import phonenumbers

# Country codes that are as expensive as satellites or that nobody answers, whatever their numbering plan
# calls them: global codes (Inmarsat, Iridium, Thuraya, networks at sea and in the air, premium and
# freephone), and Ascension, which is reached by satellite only.
FAR_CODES = frozenset({247, 800, 808, 870, 878, 881, 882, 883, 888, 979})
COUNTRIES = frozenset(phonenumbers.SUPPORTED_REGIONS)
_Type = phonenumbers.PhoneNumberType
_ORDINARY = (_Type.UNKNOWN, _Type.MOBILE, _Type.FIXED_LINE_OR_MOBILE)
_LANDLINES = (_Type.FIXED_LINE, _Type.VOIP)
MOBILE, LANDLINE, BARRED = "m:", "f:", "x:"


def class_of(phone: str) -> str:
    """Return the kind and country of an E.164 phone, as in "m:RU"; stored as User.phone_class.

    MOBILE: an ordinary mobile phone. LANDLINE: includes internet telephony. BARRED: satellite, premium
    rate, shared cost, freephone, personal, pager, voice mail and company numbers: no SMS ever goes
    there. '' if the text is not a phone.
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
