"""Who gets a mailing, who does not and why. The same conditions serve the count before the launch
(funnel.py), the lists under its lines and the preparation, so they cannot disagree. Reads only.
"""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from integrations.reasons import Reason
from mailings.models import Arrival, Mailing, Message, Policy
from smsmail.web.query import search_text
from users.consent import consent, phone_owners
from users.models import Group, Membership, User
from users.people import search
from users.segments import groups, rules, segments
from users.segments.big_queries import a_few_of_many
from users.segments.rules import BadRule

from .destinations import not_served
from .frequency_cap import cap_of
from .personalization import needs_of, no_value

OPTED_OUT = Q(consent.opted_out("phone"))


class Candidate(NamedTuple):
    """One person under the rule of a mailing; why_not is '' or the Reason to be left out."""

    id: int
    first_name: str
    last_name: str
    email: str
    phone: str
    city: str
    fields: dict[str, Any]
    time_zone: str
    why_not: str


@dataclass(frozen=True, slots=True)
class AudienceSpec:
    """Whom a form names before it is saved: as much of a Mailing as the funnel needs."""

    everyone: bool
    groups: QuerySet[Group]
    only_confirmed: bool
    rule: Any = None  # of a segment, as stored; counts unless everyone is chosen
    needs: frozenset[str] = frozenset()  # needs_of() the text
    mailing: Mailing | None = None  # where it is saved already
    typed: bool = False  # in a form just now: asked again with the next key
    patience: float | None = None  # seconds that one question about them may take
    policy: Policy | None = field(default=None, compare=False)  # where it is at hand

    @classmethod
    def of(cls, mailing: Mailing) -> "AudienceSpec":
        rule = mailing.rule
        as_it_is = rule is None or mailing.when == Mailing.When.ON_ENTRY
        if as_it_is and mailing.segment is not None:
            rule = mailing.segment.rule
        groups = mailing.groups.all() if mailing.pk else Group.objects.none()
        return cls(
            mailing.everyone,
            groups,
            mailing.only_confirmed,
            rule,
            needs_of(mailing.text),
            mailing,
        )

    def key(self, what: str) -> str:
        """Under which `what` about these people is remembered."""
        policy = Policy.current()
        cap = cap_of(self.mailing, policy)
        whom: Any = "everyone"
        if not self.everyone:
            whom = self.rule or sorted(self.groups.values_list("id", flat=True))
        asked = [
            what,
            whom,
            self.only_confirmed,
            sorted(self.needs),
            self.mailing.pk if self.mailing else None,
            [cap.messages, cap.days] if cap else None,
            [policy.sms_countries, policy.mobile_only],
        ]
        written = json.dumps(asked, sort_keys=True)
        return f"audience-{sha256(written.encode()).hexdigest()}"


class Exclusion(NamedTuple):
    """A reason, the condition for it, and what others meet. holds finds many phones at once, others
    goes with few: databases join with IN, never with NOT IN.
    """

    reason: Reason
    holds: Q
    others: Q


# --- people -----------------------------------------------------------------------------------
def candidates(mailing: Mailing, limit: int) -> list[Candidate]:
    """The next people after the mailing's cursor, up to its ceiling, by id. Raises BadRule.

    Who has no text or shares a phone shows when the messages are written (prepare.py).
    """
    rows = people(mailing).filter(id__gt=mailing.cursor, id__lte=mailing.ceiling).order_by("id")
    return _read(mailing, rows[:limit])


def newcomers(mailing: Mailing, limit: int) -> list[int]:
    """Who has come under the rule of a watching mailing: the next ids after its cursor of those whom
    it has not considered yet. Raises BadRule.
    """
    rows = matching(mailing).filter(_not_considered(mailing), id__gt=mailing.cursor).order_by("id")
    return list(rows.values_list("id", flat=True)[:limit])


def still_new(mailing: Mailing, ids: list[int]) -> list[Candidate]:
    """Of whom newcomers() has found, those for whom it still holds, by id. Raises BadRule."""
    rows = people(mailing).filter(_not_considered(mailing), id__in=ids)
    return _read(mailing, rows.order_by("id"))


def _not_considered(mailing: Mailing) -> Q:
    return Q(~Exists(Arrival.objects.filter(mailing=mailing.id, user_id=OuterRef("id"))))


def _read(mailing: Mailing, rows: "QuerySet[Any]") -> list[Candidate]:
    with a_few_of_many():
        found = [Candidate(*row) for row in rows.values_list(*Candidate._fields)]
    cap = cap_of(mailing)
    if cap is None:
        return found
    phones = [each.phone for each in found if each.why_not in _AFTER_CAP]
    full = set(cap.phones().filter(phone__in=phones))
    return [
        each._replace(why_not=Reason.HAD_LATELY.value)
        if each.why_not in _AFTER_CAP and each.phone in full
        else each
        for each in found
    ]


# In the funnel the cap comes before the shared phone.
_AFTER_CAP = {"", Reason.SAME_PHONE.value}


def people(mailing: Mailing) -> "QuerySet[Any]":
    """Everybody under the rule, with why_not: the first reason that holds for them at any time."""
    spec = AudienceSpec.of(mailing)
    opted_out = Exclusion(Reason.OPTED_OUT, OPTED_OUT, ~OPTED_OUT)
    # First one look into the index: few have a number that somebody else has confirmed.
    anothers = phone_owners.held_by_another() & (
        phone_owners.alone() | Q(Exists(_better_to_come(mailing, spec)))
    )
    if spec.needs:
        anothers &= ~nothing_to_say(spec)
    same_phone = Exclusion(Reason.SAME_PHONE, anothers, ~anothers)
    return with_reasons(spec, [*about_person(spec), opted_out, same_phone])


def matching(mailing: Mailing | AudienceSpec) -> "QuerySet[User]":
    """Everybody under the rule, whether they can get an SMS or not. Raises BadRule."""
    return _chosen(spec_of(mailing))


def to_come(mailing: Mailing) -> int:
    """How many phones between cursor and ceiling would still get a message of their own; while its
    list is not formed, everybody there is. Who will come under the rule of a watching mailing, nobody
    knows: none.
    """
    if mailing.when == Mailing.When.ON_ENTRY:
        return 0
    ceiling = mailing.ceiling or newest()
    have_one = Message.objects.filter(mailing=mailing.id, key=OuterRef("phone"))
    try:
        rest = eligible(mailing).filter(id__gt=mailing.cursor, id__lte=ceiling)
    except BadRule:
        return 0
    return rest.exclude(Exists(have_one)).values("phone").distinct().count()


def receivers(mailing: Mailing | AudienceSpec) -> "QuerySet[User]":
    """Who gets it: of those with one phone whoever has confirmed it last, else who was written down
    first. Raises BadRule.
    """
    spec = spec_of(mailing)
    return eligible(spec).filter(~Exists(_before(spec)))


def excluded(mailing: Mailing | AudienceSpec, reason: Reason) -> "QuerySet[User]":
    """The people behind a line of the funnel: whose first reason this is. Raises BadRule."""
    spec = spec_of(mailing)
    if reason is Reason.SAME_PHONE:
        return _without_reason(spec).filter(phone_owners.claim() | Q(Exists(_before(spec))))
    rows = _chosen(spec)
    for each in _reasons(spec):
        if each.reason is reason:
            return rows.filter(each.holds)
        rows = rows.filter(each.others)
    return rows.none()


def eligible(mailing: Mailing | AudienceSpec) -> "QuerySet[User]":
    """Nothing is wrong with them; several may share a phone. Raises BadRule."""
    return _without_reason(spec_of(mailing)).filter(phone_owners.no_claim())


def sample(mailing: Mailing | AudienceSpec, q: str = "") -> User | None:
    """A real person who would get it: the first, or the first whose name, e-mail or phone is q.
    None: there is nobody, or the rule cannot be read.
    """
    spec = spec_of(mailing)
    q = search_text(q)
    try:
        if not q:
            return receivers(spec).order_by("id").first()
        like = search.find(search.PeopleQuery(q=q)).order_by().values("id")
        return receivers(spec).filter(id__in=like).order_by("id").first()
    except BadRule:
        return None


def going_by(group: Group) -> list[str]:
    """Mailings that were launched, or wait for a second person, and still have to look who is in the
    group; in words.
    """
    over = [Mailing.State.DRAFT, Mailing.State.DONE, Mailing.State.CANCELLED]
    unwritten = Mailing.objects.filter(prepared_at=None, kind=Mailing.Kind.MAILING)
    asked = unwritten.exclude(state__in=over).order_by("id").prefetch_related("groups")
    return [
        _("mailing “%(name)s”") % {"name": each.name}
        for each in asked
        if group in each.groups.all() or groups.asks_about(each.rule, group)
    ]


def newest() -> int:
    """The ceiling of a mailing whose list is formed from now on: who registers later is not in it."""
    return User.objects.order_by("-id").values_list("id", flat=True).first() or 0


def spec_of(mailing: Mailing | AudienceSpec) -> AudienceSpec:
    return mailing if isinstance(mailing, AudienceSpec) else AudienceSpec.of(mailing)


def _chosen(spec: AudienceSpec) -> "QuerySet[User]":
    """Everybody under the rule."""
    people = User.objects.filter(is_active=True)
    if spec.everyone:
        return people
    if spec.rule is not None:
        return people.filter(segments.condition(rules.read(spec.rule)))
    # A semi-join, so that a person in two of the groups comes once. By their ids: a database knows
    # how large these groups are, and not how large some groups are.
    ids = list(spec.groups.values_list("id", flat=True))
    members = Membership.objects.filter(group_id__in=ids, user_id=OuterRef("id"))
    return people.filter(Exists(members))


def _without_reason(spec: AudienceSpec) -> "QuerySet[User]":
    """All that is left is whose the phone is."""
    return _chosen(spec).filter(*[each.others for each in _reasons(spec)])


def rivals(spec: AudienceSpec) -> "QuerySet[User]":
    """People who may get it where several have one phone; what holds for a phone holds for all of
    them.
    """
    return _but_for_the_phone(spec).filter(phone_owners.no_claim())


def _but_for_the_phone(spec: AudienceSpec) -> "QuerySet[User]":
    about = [*about_person(spec), _about_text(spec)]
    return _chosen(spec).filter(*[each.others for each in about])


def _before(spec: AudienceSpec) -> "QuerySet[User]":
    """Of rivals, whoever gets it instead of a person who does not claim the phone: confirmed later; or as
    late, or by neither, and a lower id.

    Whether they claim it is told without a look at the holder: unless the person shares the phone, nobody
    holds it, or the person has confirmed it, and so has whoever comes before. One question inside another
    took PostgreSQL minutes for 1,500 people when it had no statistics of the table.
    """
    proof, theirs = _proof(F("phone_confirmed_at")), _proof(OuterRef("phone_confirmed_at"))
    sooner = Q(proof__gt=theirs) | Q(proof=theirs, id__lt=OuterRef("id"))
    shared = ExpressionWrapper(OuterRef("phone_shared"), output_field=BooleanField())
    no_claim = Q(phone_confirmed_at__isnull=False) | Q(phone_shared=True) | Q(theirs_shared=False)
    rows = _but_for_the_phone(spec).filter(phone=OuterRef("phone"))
    return rows.alias(proof=proof, theirs_shared=shared).filter(sooner, no_claim)


def _better_to_come(mailing: Mailing, spec: AudienceSpec) -> "QuerySet[User]":
    """Of those, whoever has a higher id: their turn comes when the others' messages are written. Of
    lower ones the messages themselves tell.
    """
    rows = _before(spec).filter(phone_confirmed_at__isnull=False, id__gt=OuterRef("id"))
    if mailing.when == Mailing.When.ON_ENTRY:
        return rows.filter(_not_considered(mailing))
    return rows.filter(id__lte=mailing.ceiling) if mailing.ceiling else rows


def _proof(moment: Any) -> Coalesce:
    return Coalesce(moment, Value(phone_owners.NEVER), output_field=DateTimeField())


# --- reasons ----------------------------------------------------------------------------------
def _reasons(spec: AudienceSpec) -> list[Exclusion]:
    """In the order of the funnel; all but the shared phone, which takes two people."""
    return [*about_person(spec), *about_phone(spec), _about_text(spec)]


def about_person(spec: AudienceSpec) -> list[Exclusion]:
    """What the row of a person says by itself."""
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
    """What holds for a phone, whoever has it."""
    found = [Exclusion(Reason.OPTED_OUT, OPTED_OUT, ~OPTED_OUT)]
    cap = cap_of(spec.mailing, spec.policy)
    if cap is not None:
        no_room = Q(phone__in=cap.phones())
        found.append(Exclusion(Reason.HAD_LATELY, no_room, ~Q(cap.full("phone"))))
    return found


def _about_text(spec: AudienceSpec) -> Exclusion:
    nothing = nothing_to_say(spec)
    return Exclusion(Reason.EMPTY_TEXT, nothing, ~nothing)


def nothing_to_say(spec: AudienceSpec) -> Q:
    return no_value(spec.needs) if spec.needs else Q(pk__in=())


def with_reasons(spec: AudienceSpec, reasons: list[Exclusion]) -> "QuerySet[Any]":
    whens = [When(each.holds, then=Value(each.reason.value)) for each in reasons]
    why_not = Case(*whens, default=Value(""), output_field=CharField())
    return _chosen(spec).annotate(why_not=why_not)
