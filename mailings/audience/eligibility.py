"""Tells whether one person would get the mailing, and if not, why: the first reason of the funnel,
or the part of the rule that they do not meet. Read-only; it asks about one person at a time.
"""

from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from integrations.reasons import Reason
from mailings.models import Arrival, Mailing, Message
from users.models import User
from users.segments import segments
from users.segments.rules import BadRule

from . import audience
from .spec import AudienceSpec

# In the order of the funnel.
REASONS = (
    Reason.NO_PHONE,
    Reason.BAD_PHONE,
    Reason.NOT_SERVED,
    Reason.NOT_CONFIRMED,
    Reason.FORBIDDEN,
    Reason.OPTED_OUT,
    Reason.HAD_LATELY,
    Reason.EMPTY_TEXT,
    Reason.SAME_PHONE,
)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """`yes`, or why not: a reason, or sentences. `message` is what they have of the mailing
    already.
    """

    person: User
    yes: bool = False
    reason: Reason | None = None
    missing: list[str] = field(default_factory=list)  # parts of the rule that they do not meet
    words: str = ""
    message: Message | None = None


def eligibility(mailing: Mailing, person: User) -> Eligibility:
    """Return whether this person would get the mailing. Raises BadRule."""
    arrival = Arrival.objects.filter(mailing=mailing, user_id=person.pk).first()
    if arrival is not None and arrival.before:
        words = _("Was under the rule when the watching began: it is for those who come later.")
        return Eligibility(person, words=words)
    if arrival is not None:
        message = Message.objects.filter(mailing=mailing, user=person).first()
        words = _("Has come under the rule already, and is not considered again.")
        return Eligibility(person, words=words, message=message)
    if not person.is_active:
        return Eligibility(person, words=_("May not sign in: such people are in no mailing."))
    spec = AudienceSpec.of(mailing)
    if not audience.matching(spec).filter(pk=person.pk).exists():
        return Eligibility(person, missing=_missing(spec, person))
    for reason in REASONS:
        if audience.excluded(spec, reason).filter(pk=person.pk).exists():
            return Eligibility(person, reason=reason)
    if not mailing.present_too and mailing.watching_since is None:
        words = _("Is under the rule already: it is for those who come after the launch.")
        return Eligibility(person, words=words)
    return Eligibility(person, yes=True)


def _missing(spec: AudienceSpec, person: User) -> list[str]:
    if spec.rule is not None:
        return segments.missing(spec.parsed_rule, person)
    names = ", ".join(spec.groups.values_list("name", flat=True))
    if not names:
        raise BadRule(_("Nobody is chosen yet."))
    return [_("Is in one of the groups: %(names)s") % {"names": names}]
