"""The funnel: who gets it, who does not and why; and that preparation then does the very same."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.reasons import Reason
from mailings import audience, prepare
from mailings.audience import Choice, Funnel, funnel
from mailings.models import Counters, Dispatch, Mailing, Message
from tests import people
from tests.mailings import ground
from users import consent
from users.models import AuditEvent, ConsentEvent, Group, OptOut, User

Status = Message.Status
CONFIRMED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def mailing(db: None) -> Mailing:
    return ground.draft()


def opted_out(phone: str) -> None:
    consent.opt_out(phone, OptOut.Source.PERSON)


# Everything that may be wrong with a person, in the funnel's order.
WRONG: dict[Reason, dict[str, Any]] = {
    Reason.NO_PHONE: {"phone": ""},
    Reason.BAD_PHONE: {"phone": "8 998 what"},
    Reason.NOT_CONFIRMED: {"phone_confirmed_at": None},
    Reason.FORBIDDEN: {"sms_forbidden": True},
    Reason.OPTED_OUT: {},
}


def someone(name: str, *wrong: Reason) -> User:
    """A person with nothing wrong but this."""
    fields: dict[str, Any] = {"phone": "+79980000011", "phone_confirmed_at": CONFIRMED}
    for reason in reversed(wrong):
        fields |= WRONG[reason]
    if Reason.OPTED_OUT in wrong and fields["phone"]:
        opted_out(fields["phone"])
    return people.person(name, **fields)


@pytest.mark.parametrize("reason", list(WRONG))
def test_each_reason_alone_leaves_a_person_out(db: None, reason: Reason) -> None:
    someone("vera", reason)
    assert funnel(ground.draft(only_confirmed=True)) == Funnel(1, {reason: 1}, 0)


@pytest.mark.parametrize("first", list(WRONG))
def test_of_several_reasons_the_first_one_is_told(db: None, first: Reason) -> None:
    order = list(WRONG)
    someone("vera", *order[order.index(first) :])
    assert funnel(ground.draft(only_confirmed=True)) == Funnel(1, {first: 1}, 0)


def test_nothing_wrong_gets_it(mailing: Mailing) -> None:
    someone("vera")
    assert funnel(mailing) == Funnel(1, {}, 1)


def test_an_unconfirmed_phone_is_good_enough_unless_asked_otherwise(mailing: Mailing) -> None:
    someone("vera", Reason.NOT_CONFIRMED)
    assert funnel(mailing).will_receive == 1
    mailing.only_confirmed = True
    assert funnel(mailing).will_receive == 0


def test_one_phone_gets_one_sms(mailing: Mailing) -> None:
    for name in ("vera", "pavel", "zoya"):
        someone(name)
    assert funnel(mailing) == Funnel(3, {Reason.SAME_PHONE: 2}, 1)


def test_a_forbidden_person_does_not_take_the_place_of_another_with_the_same_phone(
    mailing: Mailing, olga: User
) -> None:
    someone("vera", Reason.FORBIDDEN)
    someone("pavel")
    assert funnel(mailing) == Funnel(3, {Reason.NO_PHONE: 1, Reason.FORBIDDEN: 1}, 1)


def test_an_opt_out_is_the_phones_whoever_has_it(mailing: Mailing) -> None:
    someone("vera", Reason.OPTED_OUT)
    someone("pavel")
    assert funnel(mailing) == Funnel(2, {Reason.OPTED_OUT: 2}, 0)


def test_a_person_who_may_not_sign_in_is_not_even_counted(mailing: Mailing) -> None:
    people.person("vera", phone="+79980000011", is_active=False)
    assert funnel(mailing) == Funnel(0, {}, 0)


def test_somebody_in_two_of_the_groups_is_counted_once(db: None) -> None:
    evening, morning, other = (Group.objects.create(name=name) for name in "emo")
    vera, pavel, zoya = people.students(3)
    vera.groups.add(evening, morning)
    pavel.groups.add(morning)
    zoya.groups.add(other)
    mailing = ground.draft(everyone=False)
    mailing.groups.add(evening, morning)
    assert funnel(mailing) == Funnel(2, {}, 2)
    assert funnel(Choice(False, Group.objects.filter(name="o"), False)) == Funnel(1, {}, 1)


def test_no_groups_is_nobody_and_everyone_does_not_ask_for_groups(db: None) -> None:
    people.students(2)
    mailing = ground.draft(everyone=False)
    assert funnel(mailing) == Funnel(0, {}, 0)
    mailing.everyone = True
    mailing.groups.add(Group.objects.create(name="Empty"))
    assert funnel(mailing) == Funnel(2, {}, 2)


def test_the_funnel_asks_the_same_for_any_number_of_people(mailing: Mailing) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            funnel(mailing)
        return len(captured)

    people.students(1)
    for_one = queries()
    people.students(50, start=1)
    assert queries() == for_one <= 3


def test_candidates_come_by_id_between_cursor_and_ceiling(mailing: Mailing) -> None:
    ids = [student.id for student in people.students(5)]
    mailing.cursor, mailing.ceiling = ids[0], ids[3]
    assert [each.id for each in audience.candidates(mailing, 10)] == ids[1:4]
    assert [each.id for each in audience.candidates(mailing, 2)] == ids[1:3]


def test_the_ceiling_is_the_newest_person(db: None) -> None:
    assert audience.newest() == 0
    people.students(3)
    assert audience.newest() == max(User.objects.values_list("id", flat=True))


# --- any people ------------------------------------------------------------------------------
class Anyone(NamedTuple):
    phone: str
    active: bool
    confirmed: bool
    forbidden: bool
    groups: set[int]


ANYONE = st.builds(
    Anyone,
    phone=st.sampled_from(["", "8998", "+79980000001", "+79980000002", "+79980000003"]),
    active=st.sampled_from([True, True, True, False]),
    confirmed=st.booleans(),
    forbidden=st.sampled_from([False, False, True]),
    groups=st.sets(st.integers(0, 2)),
)


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    everybody=st.lists(ANYONE, max_size=10),
    out=st.sampled_from(["", "+79980000002"]),
    chosen=st.one_of(st.none(), st.sets(st.integers(0, 2))),
    only_confirmed=st.booleans(),
    chunk=st.integers(1, 4),
)
def test_the_funnel_adds_up_and_preparation_does_what_it_says(
    everybody: list[Anyone], out: str, chosen: set[int] | None, only_confirmed: bool, chunk: int
) -> None:
    mailing = _world(everybody, out, chosen, only_confirmed)
    said = funnel(mailing)
    assert said.total == sum(said.excluded.values()) + said.will_receive
    assert said.total == sum(
        each.active and (chosen is None or bool(each.groups & chosen)) for each in everybody
    )
    Counters.objects.create(mailing=mailing)
    Mailing.objects.update(state="preparing", launched_at=CONFIRMED, ceiling=audience.newest())
    usual, prepare.CHUNK = prepare.CHUNK, chunk
    try:
        while prepare.prepare_some(mailing.id):
            pass
    finally:
        prepare.CHUNK = usual
    rows = Message.objects.filter(mailing=mailing)
    assert rows.filter(status=Status.WAITING, reason="").count() == said.will_receive
    skipped = rows.filter(status=Status.SKIPPED).values_list("reason", flat=True)
    assert Counter(skipped) == Counter({reason.value: n for reason, n in said.excluded.items()})
    ground.assert_counters_equal_rows(mailing)


def _world(
    everybody: list[Anyone], out: str, chosen: set[int] | None, only_confirmed: bool
) -> Mailing:
    """A fresh one for each example: they share the test's transaction."""
    for model in (Message, Dispatch, Counters, Mailing, AuditEvent, ConsentEvent, OptOut):
        model.objects.all().delete()
    User.objects.all().delete()
    groups = [Group.objects.get_or_create(name=f"Group {n}")[0] for n in range(3)]
    if out:
        opted_out(out)
    for number, each in enumerate(everybody):
        user = User.objects.create(
            email=f"anyone{number}@example.com",
            phone=each.phone,
            is_active=each.active,
            phone_confirmed_at=CONFIRMED if each.confirmed else None,
            sms_forbidden=each.forbidden,
        )
        user.groups.set([groups[n] for n in each.groups])
    mailing = ground.draft(everyone=chosen is None, only_confirmed=only_confirmed)
    mailing.groups.set([groups[n] for n in chosen or ()])
    return mailing
