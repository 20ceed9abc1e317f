"""The reasons why a person under the rule of a mailing does not get it, each as a query condition. The shared
phone is not among them, since it takes two people (audience.py).
"""

from typing import NamedTuple

from django.db.models import Q

from integrations.reasons import Reason
from users.consent import consent

from .destinations import not_served
from .personalization import no_value
from .spec import AudienceSpec

OPTED_OUT = Q(consent.opted_out("phone"))


class Exclusion(NamedTuple):
    """A reason, and the condition for it. `holds` selects the excluded people (an IN subquery is
    fine), `others` the rest (NOT EXISTS, because planners do not anti-join NOT IN).
    """

    reason: Reason
    holds: Q
    others: Q


def reasons_of(spec: AudienceSpec) -> list[Exclusion]:
    """Return the exclusions in the order of the funnel, except the shared phone, which takes two
    people.
    """
    return [*about_person(spec), *about_phone(spec), about_text(spec)]


def about_person(spec: AudienceSpec) -> list[Exclusion]:
    """Return the exclusions that the row of a person decides by itself."""
    conditions = {
        Reason.NO_PHONE: Q(phone=""),
        Reason.BAD_PHONE: ~Q(phone__startswith="+"),
        Reason.NOT_SERVED: not_served(spec.policy),
    }
    if spec.only_confirmed:
        conditions[Reason.NOT_CONFIRMED] = Q(phone_confirmed_at__isnull=True)
    conditions[Reason.FORBIDDEN] = Q(sms_forbidden=True)
    return [Exclusion(reason, holds, ~holds) for reason, holds in conditions.items()]


def about_phone(spec: AudienceSpec) -> list[Exclusion]:
    """Return the exclusions that hold for a phone, whoever has it."""
    found = [Exclusion(Reason.OPTED_OUT, OPTED_OUT, ~OPTED_OUT)]
    cap = spec.cap
    if cap is not None:
        no_room = Q(phone__in=cap.phones())
        found.append(Exclusion(Reason.HAD_LATELY, no_room, ~Q(cap.full("phone"))))
    return found


def about_text(spec: AudienceSpec) -> Exclusion:
    nothing = nothing_to_say(spec)
    return Exclusion(Reason.EMPTY_TEXT, nothing, ~nothing)


def nothing_to_say(spec: AudienceSpec) -> Q:
    return no_value(spec.needs) if spec.needs else Q(pk__in=())
