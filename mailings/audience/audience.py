"""Decides who gets a mailing, who does not, and why. The same conditions serve the count before the
launch (funnel.py), the lists behind its lines, and the preparation, so they cannot disagree.
Read-only.
"""

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
from mailings.models import Arrival, Mailing, Message
from mailings.text.template import VARIABLES, names_in
from smsmail.web.query import search_text
from users.consent import phone_owners
from users.models import Group, Membership, User
from users.people import search
from users.segments import groups, segments
from users.segments.big_queries import a_few_of_many
from users.segments.rules import BadRule

from .exclusions import OPTED_OUT, Exclusion, about_person, about_text, nothing_to_say, reasons_of
from .spec import AudienceSpec, spec_of


class Candidate(NamedTuple):
    """One person under the rule of a mailing. why_not is '' or the Reason for which they are
    excluded.
    """

    id: int
    first_name: str
    last_name: str
    email: str
    phone: str
    city: str
    fields: dict[str, Any]
    time_zone: str
    why_not: str


# --- people -----------------------------------------------------------------------------------
def candidates(mailing: Mailing, limit: int) -> list[Candidate]:
    """Return the next people after the mailing's cursor, up to its ceiling, by id. Raises BadRule.

    Empty texts and shared phones show only when the messages are written (prepare.py).
    """
    spec = AudienceSpec.of(mailing)
    rows = _people(mailing, spec).filter(id__gt=mailing.cursor, id__lte=mailing.ceiling)
    return _read(spec, rows.order_by("id")[:limit])


def newcomers(mailing: Mailing, limit: int) -> list[int]:
    """Return the ids of the next people, after the cursor, who have come under the rule of an
    on-entry mailing and were not considered yet. Raises BadRule.
    """
    rows = matching(mailing).filter(_not_considered(mailing), id__gt=mailing.cursor).order_by("id")
    return list(rows.values_list("id", flat=True)[:limit])


def still_new(mailing: Mailing, ids: list[int]) -> list[Candidate]:
    """Return those of the newcomers() for whom this is still so, by id. Raises BadRule."""
    spec = AudienceSpec.of(mailing)
    rows = _people(mailing, spec).filter(_not_considered(mailing), id__in=ids)
    return _read(spec, rows.order_by("id"))


def _not_considered(mailing: Mailing) -> Q:
    return Q(~Exists(Arrival.objects.filter(mailing=mailing.id, user_id=OuterRef("id"))))


def _read(spec: AudienceSpec, rows: "QuerySet[Any]") -> list[Candidate]:
    columns = list(Candidate._fields)
    if spec.mailing and not set(names_in(spec.mailing.text)) - VARIABLES.keys():
        columns.remove("fields")  # nothing names them, and decoding them takes 3 us a person
    with a_few_of_many():
        if "fields" in columns:
            found = [Candidate(*row) for row in rows.values_list(*columns)]
        else:
            found = [
                Candidate._make((*row[:6], {}, *row[6:])) for row in rows.values_list(*columns)
            ]
    cap = spec.cap
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
    """Return everybody under the rule, with why_not: the first reason that excludes them at any
    time. Raises BadRule.
    """
    return _people(mailing, AudienceSpec.of(mailing))


def _people(mailing: Mailing, spec: AudienceSpec) -> "QuerySet[Any]":
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
    """Return everybody under the rule, whether they can get an SMS or not. Raises BadRule."""
    return _chosen(spec_of(mailing))


def to_come(mailing: Mailing) -> int:
    """Count the phones between cursor and ceiling that would still get a message of their own.
    While the list is not formed, all people are counted. It is 0 for an on-entry mailing, since
    nobody knows who will come, and for a rule that cannot be read.
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
    """Return who gets it. Of the people with one phone, it is the one who confirmed it last, or
    else the one with the lowest id. Raises BadRule.
    """
    spec = spec_of(mailing)
    return eligible(spec).filter(~Exists(_before(spec)))


def excluded(mailing: Mailing | AudienceSpec, reason: Reason) -> "QuerySet[User]":
    """Return the people behind a line of the funnel: those whose first reason this is. Raises
    BadRule.
    """
    spec = spec_of(mailing)
    if reason is Reason.SAME_PHONE:
        return _without_reason(spec).filter(phone_owners.claim() | Q(Exists(_before(spec))))
    rows = _chosen(spec)
    for each in reasons_of(spec):
        if each.reason is reason:
            return rows.filter(each.holds)
        rows = rows.filter(each.others)
    return rows.none()


def eligible(mailing: Mailing | AudienceSpec) -> "QuerySet[User]":
    """Return the people to whom no reason applies; several may share a phone. Raises BadRule."""
    return _without_reason(spec_of(mailing)).filter(phone_owners.no_claim())


def sample(mailing: Mailing | AudienceSpec, q: str = "") -> User | None:
    """Return a real person who would get it: the first, or the first whose name, e-mail or phone
    matches q. None if there is nobody, or if the rule cannot be read.
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
    """Return, in words, the mailings that still have to read the members of the group: those that
    were launched or wait for a second person.
    """
    over = [Mailing.State.DRAFT, Mailing.State.DONE, Mailing.State.CANCELLED]
    unwritten = Mailing.objects.campaigns().filter(prepared_at=None)
    asked = unwritten.exclude(state__in=over).order_by("id").prefetch_related("groups")
    return [
        _("mailing “%(name)s”") % {"name": each.name}
        for each in asked
        if group in each.groups.all() or groups.asks_about(each.rule, group)
    ]


def newest() -> int:
    """Return the ceiling for a mailing whose list is formed from now on: later registrations are
    not in it.
    """
    return User.objects.order_by("-id").values_list("id", flat=True).first() or 0


def _chosen(spec: AudienceSpec) -> "QuerySet[User]":
    """Return everybody under the rule. Raises BadRule."""
    people = User.objects.filter(is_active=True)
    if spec.everyone:
        return people
    if spec.rule is not None:
        return people.filter(segments.condition(spec.parsed_rule))
    # A semi-join, so that a person in two of the groups comes once. By their ids: a database knows
    # how large these groups are, and not how large some groups are.
    members = Membership.objects.filter(group_id__in=spec.group_ids, user_id=OuterRef("id"))
    return people.filter(Exists(members))


def _without_reason(spec: AudienceSpec) -> "QuerySet[User]":
    """Return the people to whom no reason applies, except perhaps that somebody else holds their
    phone.
    """
    return _chosen(spec).filter(*[each.others for each in reasons_of(spec)])


def rivals(spec: AudienceSpec) -> "QuerySet[User]":
    """Return the candidates for a phone that several people have. What holds for a phone holds for
    all of them.
    """
    return _but_for_the_phone(spec).filter(phone_owners.no_claim())


def _but_for_the_phone(spec: AudienceSpec) -> "QuerySet[User]":
    about = [*about_person(spec), about_text(spec)]
    return _chosen(spec).filter(*[each.others for each in about])


def _before(spec: AudienceSpec) -> "QuerySet[User]":
    """Return the rivals who get it instead of a person who does not claim the phone: those who
    confirmed it later; or, confirmed at the same time or by neither, those with a lower id.

    Whether a rival only claims the phone is decided without a look-up of its holder. Unless the
    person shares the phone, either nobody holds it, or the person has confirmed it and so has every
    rival who comes first. With one subquery inside another, PostgreSQL took minutes for 1,500
    people when it had no statistics of the table.
    """
    proof, theirs = _proof(F("phone_confirmed_at")), _proof(OuterRef("phone_confirmed_at"))
    sooner = Q(proof__gt=theirs) | Q(proof=theirs, id__lt=OuterRef("id"))
    shared = ExpressionWrapper(OuterRef("phone_shared"), output_field=BooleanField())
    no_claim = Q(phone_confirmed_at__isnull=False) | Q(phone_shared=True) | Q(theirs_shared=False)
    rows = _but_for_the_phone(spec).filter(phone=OuterRef("phone"))
    return rows.alias(proof=proof, theirs_shared=shared).filter(sooner, no_claim)


def _better_to_come(mailing: Mailing, spec: AudienceSpec) -> "QuerySet[User]":
    """Return the rivals of _before() that have a higher id: their turn comes after this person's.
    Those with a lower id have their messages already, which shows in the rows.
    """
    rows = _before(spec).filter(phone_confirmed_at__isnull=False, id__gt=OuterRef("id"))
    if mailing.when == Mailing.When.ON_ENTRY:
        return rows.filter(_not_considered(mailing))
    return rows.filter(id__lte=mailing.ceiling) if mailing.ceiling else rows


def _proof(moment: Any) -> Coalesce:
    return Coalesce(moment, Value(phone_owners.NEVER), output_field=DateTimeField())


# --- reasons ----------------------------------------------------------------------------------


def with_reasons(spec: AudienceSpec, reasons: list[Exclusion]) -> "QuerySet[Any]":
    whens = [When(each.holds, then=Value(each.reason.value)) for each in reasons]
    why_not = Case(*whens, default=Value(""), output_field=CharField())
    return _chosen(spec).annotate(why_not=why_not)
