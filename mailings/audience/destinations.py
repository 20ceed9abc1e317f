"""The countries and kinds of numbers that get SMS and codes (Policy). Satellite, premium rate and
similar numbers never get any: users.parsing.phone_classes recognises them, and the class is stored
with each phone.
"""

from collections.abc import Iterable

from django.db.models import Q

from mailings.models import Policy
from users.parsing import phone_classes

# People do not tell these territories apart, and neither do the tables of numbers.
TOGETHER = {
    "GB": ("GG", "JE", "IM"),
    "IT": ("VA",),
    "FI": ("AX",),
    "NO": ("SJ",),
    "AU": ("CX", "CC"),
    "MA": ("EH",),
    "FR": ("GP", "MQ", "GF", "RE", "YT", "PM", "BL", "MF"),
    "NL": ("BQ",),
}


def not_served(policy: Policy | None = None) -> Q:
    """Return a condition for people whose numbers get no SMS. Numbers whose class has not been
    computed are left to the provider.
    """
    policy = policy or Policy.current()
    if policy.sms_countries:
        return ~Q(phone_class__in=["", *_classes(policy)])
    barred = Q(phone_class__startswith=phone_classes.BARRED)
    if policy.mobile_only:
        barred |= Q(phone_class__startswith=phone_classes.LANDLINE)
    return barred


def serves(phone: str) -> bool:
    """Return whether SMS go to this E.164 phone; its class is computed anew."""
    found, policy = phone_classes.class_of(phone), Policy.current()
    if not found or found.startswith(phone_classes.BARRED):
        return not found
    if policy.sms_countries:
        return found in _classes(policy)
    return not (policy.mobile_only and found.startswith(phone_classes.LANDLINE))


def _classes(policy: Policy) -> Iterable[str]:
    countries = [
        each for country in policy.sms_countries for each in (country, *TOGETHER.get(country, ()))
    ]
    kinds = [phone_classes.MOBILE, *([] if policy.mobile_only else [phone_classes.LANDLINE])]
    return [f"{kind}{country}" for kind in kinds for country in countries]
