"""The funnel: who gets it, who does not and why; and that preparation then does the very same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.reasons import Reason
from mailings.audience import audience, funnel
from mailings.audience.funnel import Funnel
from mailings.audience.spec import AudienceSpec
from mailings.models import Batch, Counters, Mailing, Message, Policy
from mailings.sending import prepare
from tests import factories
from tests.examples import examples
from tests.mailings import mailing_factories
from users.consent import consent
from users.models import AuditEvent, ConsentEvent, Group, Membership, OptOut, Segment, User

Status = Message.Status
KAZAN = {"version": 1, "all": [{"field": "city", "op": "is", "value": "Kazan"}]}
CONFIRMED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def mailing(db: None) -> Mailing:
    return mailing_factories.draft()


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

LINES = [*WRONG, Reason.HAD_LATELY, Reason.EMPTY_TEXT, Reason.SAME_PHONE]


def someone(name: str, *wrong: Reason) -> User:
    """A person with nothing wrong but this."""
    fields: dict[str, Any] = {"phone": "+79980000011", "phone_confirmed_at": CONFIRMED}
    for reason in reversed(wrong):
        fields |= WRONG[reason]
    if Reason.OPTED_OUT in wrong and fields["phone"]:
        opted_out(fields["phone"])
    return factories.person(name, **fields)


@pytest.mark.parametrize("reason", list(WRONG))
def test_each_reason_alone_leaves_a_person_out(db: None, reason: Reason) -> None:
    someone("vera", reason)
    assert funnel.count(mailing_factories.draft(only_confirmed=True)) == Funnel(1, {reason: 1}, 0)


@pytest.mark.parametrize("first", list(WRONG))
def test_of_several_reasons_the_first_one_is_told(db: None, first: Reason) -> None:
    order = list(WRONG)
    someone("vera", *order[order.index(first) :])
    assert funnel.count(mailing_factories.draft(only_confirmed=True)) == Funnel(1, {first: 1}, 0)


def test_nothing_wrong_gets_it(mailing: Mailing) -> None:
    someone("vera")
    assert funnel.count(mailing) == Funnel(1, {}, 1)


def test_an_unconfirmed_phone_is_good_enough_unless_asked_otherwise(mailing: Mailing) -> None:
    someone("vera", Reason.NOT_CONFIRMED)
    assert funnel.count(mailing).will_receive == 1
    mailing.only_confirmed = True
    assert funnel.count(mailing).will_receive == 0


def test_one_phone_gets_one_sms(mailing: Mailing) -> None:
    for name in ("vera", "pavel", "zoya"):
        someone(name)
    assert funnel.count(mailing) == Funnel(3, {Reason.SAME_PHONE: 2}, 1)


def test_a_forbidden_person_does_not_take_the_place_of_another_with_the_same_phone(
    mailing: Mailing, owner: User
) -> None:
    someone("vera", Reason.FORBIDDEN)
    someone("pavel")
    assert funnel.count(mailing) == Funnel(3, {Reason.NO_PHONE: 1, Reason.FORBIDDEN: 1}, 1)


def test_an_opt_out_is_the_phones_whoever_has_it(mailing: Mailing) -> None:
    someone("vera", Reason.OPTED_OUT)
    someone("pavel")
    assert funnel.count(mailing) == Funnel(2, {Reason.OPTED_OUT: 2}, 0)


def test_a_person_who_may_not_sign_in_is_not_even_counted(mailing: Mailing) -> None:
    factories.person("vera", phone="+79980000011", is_active=False)
    assert funnel.count(mailing) == Funnel(0, {}, 0)


def test_somebody_in_two_of_the_groups_is_counted_once(db: None) -> None:
    evening, morning, other = (Group.objects.create(name=name) for name in "emo")
    vera, pavel, zoya = factories.students(3)
    vera.groups.add(evening, morning)
    pavel.groups.add(morning)
    zoya.groups.add(other)
    mailing = mailing_factories.draft(everyone=False)
    mailing.groups.add(evening, morning)
    assert funnel.count(mailing) == Funnel(2, {}, 2)
    assert funnel.count(AudienceSpec(False, Group.objects.filter(name="o"), False)) == Funnel(
        1, {}, 1
    )


def test_no_groups_is_nobody_and_everyone_does_not_ask_for_groups(db: None) -> None:
    factories.students(2)
    mailing = mailing_factories.draft(everyone=False)
    assert funnel.count(mailing) == Funnel(0, {}, 0)
    mailing.everyone = True
    mailing.groups.add(Group.objects.create(name="Empty"))
    assert funnel.count(mailing) == Funnel(2, {}, 2)


def test_the_funnel_asks_the_same_for_any_number_of_people(mailing: Mailing) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            funnel.count(mailing)
        return sum(each["sql"].startswith("SELECT") for each in captured)

    factories.students(1)
    for_one = queries()
    factories.students(50, start=1)
    assert queries() == for_one <= 4


def test_candidates_come_by_id_between_cursor_and_ceiling(mailing: Mailing) -> None:
    ids = [student.id for student in factories.students(5)]
    mailing.cursor, mailing.ceiling = ids[0], ids[3]
    assert [each.id for each in audience.candidates(mailing, 10)] == ids[1:4]
    assert [each.id for each in audience.candidates(mailing, 2)] == ids[1:3]


def test_the_ceiling_is_the_newest_person(db: None) -> None:
    assert audience.newest() == 0
    factories.students(3)
    assert audience.newest() == max(User.objects.values_list("id", flat=True))


def test_a_text_of_variables_alone_is_nothing_for_who_has_none(db: None) -> None:
    factories.person("vera", phone="+79980000011", first_name=" ")
    factories.person("pavel", phone="+79980000012")
    mute = {Reason.EMPTY_TEXT: 1}
    assert funnel.count(mailing_factories.draft(text=" {first_name}\n")) == Funnel(2, mute, 1)
    assert funnel.count(mailing_factories.draft(text="{first_name}!")) == Funnel(2, {}, 2)
    assert funnel.count(mailing_factories.draft(text="{first_name|friend}")) == Funnel(2, {}, 2)
    assert funnel.count(mailing_factories.draft(text="{first_name}{email}")) == Funnel(2, {}, 2)
    assert funnel.count(mailing_factories.draft(text="{first_name")) == Funnel(
        2, {}, 2
    )  # cannot be launched so
    spec = AudienceSpec(True, Group.objects.none(), False, needs=frozenset({"first_name"}))
    assert funnel.count(spec) == Funnel(2, mute, 1)


def test_a_person_without_a_text_does_not_take_the_place_of_another(db: None) -> None:
    factories.simulator()
    factories.person("vera", phone="+79980000011", first_name="")
    pavel = factories.person("pavel", phone="+79980000011")
    mailing = mailing_factories.draft(text="{first_name}")
    assert funnel.count(mailing) == Funnel(2, {Reason.EMPTY_TEXT: 1}, 1)
    assert list(audience.receivers(mailing)) == [pavel]


def test_a_segment_is_asked_by_its_rule(db: None) -> None:
    factories.person("vera", phone="+79980000011", city="Kazan")
    factories.person("pavel", phone="+79980000012", city="Tver")
    mailing = mailing_factories.draft(
        everyone=False, segment=Segment.objects.create(name="K", rule=KAZAN)
    )
    assert funnel.count(mailing) == Funnel(1, {}, 1)
    mailing.rule = {**KAZAN, "all": [{"field": "city", "op": "is", "value": "Tver"}]}
    assert [each.first_name for each in audience.receivers(mailing)] == ["Pavel"]


def test_a_rule_that_cannot_be_read_is_nobody_and_says_why(db: None) -> None:
    factories.students(1)
    rules: tuple[Any, ...] = (
        {},
        {"version": 99},
        [],
        "\0",
        {"version": 1, "all": [{"segment": 9}]},
    )
    for rule in rules:
        said = funnel.count(AudienceSpec(False, Group.objects.none(), False, rule=rule))
        assert (said.total, said.will_receive) == (0, 0)
        assert said.trouble
    bad = AudienceSpec(False, Group.objects.none(), False, rule={"version": 99})
    assert audience.sample(bad) is None
    assert funnel.recent(bad).trouble


def test_a_recent_funnel_is_remembered_for_these_people_only(db: None) -> None:
    factories.students(2)
    spec = AudienceSpec(
        everyone=True, groups=Group.objects.none(), only_confirmed=False, typed=True
    )
    assert funnel.recent(spec).will_receive == 2
    User.objects.all().delete()
    assert funnel.recent(spec).will_receive == 2
    assert funnel.recent(replace(spec, only_confirmed=True)).will_receive == 0
    assert funnel.count(spec).will_receive == 0


def test_on_a_page_only_what_took_long_is_remembered_and_says_since_when(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.students(2)
    assert funnel.recent(mailing).at is None
    User.objects.filter(email="student0@example.com").delete()
    assert funnel.recent(mailing).will_receive == 1
    monkeypatch.setattr(funnel, "SLOW", 0)
    cache.clear()
    assert funnel.recent(mailing).at is None
    User.objects.all().delete()
    again = funnel.recent(mailing)
    assert again.will_receive == 1
    assert again.at is not None


def test_the_same_people_are_remembered_under_the_same_key(db: None) -> None:
    one, two = (Group.objects.create(name=name) for name in "ot")
    both = Group.objects.order_by("id"), Group.objects.order_by("-id")
    assert len({AudienceSpec(False, groups, False).key("x") for groups in both}) == 1
    keys = {
        AudienceSpec(True, both[0], False).key("x"),
        AudienceSpec(True, both[0], False).key("y"),
        AudienceSpec(True, both[0], True).key("x"),
        AudienceSpec(False, both[0], False).key("x"),
        AudienceSpec(False, Group.objects.filter(id=one.id), False).key("x"),
        AudienceSpec(False, both[0], False, rule=KAZAN).key("x"),
        AudienceSpec(True, both[0], False, needs=frozenset({"city"})).key("x"),
        AudienceSpec(True, both[0], False, mailing=mailing_factories.draft()).key("x"),
    }
    mailing_factories.policy(cap_messages=1)
    keys.add(AudienceSpec(True, both[0], False).key("x"))
    assert two.id
    assert len(keys) == 9


def test_a_sample_is_somebody_who_would_get_it(db: None) -> None:
    factories.person("vera", phone="+79980000011", last_name="Petrova")
    pavel = factories.person("pavel", phone="+79980000012", last_name="Petrov")
    factories.person("twin", phone="+79980000012", last_name="Petrovsky")
    factories.person("zoya", last_name="Petrovna")
    mailing = mailing_factories.draft()
    found = audience.sample(mailing)
    assert found is not None
    assert found.first_name == "Vera"
    assert audience.sample(mailing, "pavel petrov") == pavel
    assert audience.sample(mailing, "8 998 000 00 12") == pavel
    for nobody in ("twin", "zoya", "\0nobody", "%"):
        assert audience.sample(mailing, nobody) is None


# --- any people ------------------------------------------------------------------------------
class Anyone(NamedTuple):
    phone: str
    active: bool
    confirmed: datetime | None
    shared: bool
    forbidden: bool
    name: str
    city: str
    groups: set[int]


class Plan(NamedTuple):
    """Whom the mailing goes to, and what is set for all mailings."""

    chosen: str | set[int]  # everyone, kazan, or groups
    only_confirmed: bool
    text: str
    cap: int
    had: dict[str, int]  # phone -> messages of other mailings


PHONES = ["+79980000001", "+79980000002", "+79980000003"]
ANYONE = st.builds(
    Anyone,
    phone=st.sampled_from(["", "8998", *PHONES]),
    active=st.sampled_from([True, True, True, False]),
    confirmed=st.sampled_from([None, None, CONFIRMED, CONFIRMED + timedelta(days=1)]),
    shared=st.sampled_from([False, False, True]),
    forbidden=st.sampled_from([False, False, True]),
    name=st.sampled_from(["", "Vera"]),
    city=st.sampled_from(["Kazan", "Tver"]),
    groups=st.sets(st.integers(0, 2)),
)
PLAN = st.builds(
    Plan,
    chosen=st.one_of(st.sampled_from(["everyone", "kazan"]), st.sets(st.integers(0, 2))),
    only_confirmed=st.booleans(),
    text=st.sampled_from(["Webinar at six", "{first_name}"]),
    cap=st.integers(0, 2),
    had=st.dictionaries(st.sampled_from(PHONES), st.integers(1, 2)),
)


@pytest.mark.django_db
@settings(max_examples=examples(50), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    everybody=st.lists(ANYONE, max_size=10),
    out=st.sampled_from(["", "+79980000002"]),
    plan=PLAN,
    chunk=st.integers(1, 4),
)
def test_the_funnel_adds_up_and_preparation_does_what_it_says(
    everybody: list[Anyone], out: str, plan: Plan, chunk: int
) -> None:
    mailing = _world(everybody, out, plan)
    said = funnel.count(mailing)
    assert said.total == sum(said.excluded.values()) + said.will_receive
    assert said.total == sum(each.active and _is_meant(each, plan) for each in everybody)
    lists = {reason.value: set(audience.excluded(mailing, reason)) for reason in LINES}
    lists[""] = set(audience.receivers(mailing))
    behind = {str(reason): n for reason, n in said.excluded.items()} | {"": said.will_receive}
    assert {reason: len(found) for reason, found in lists.items() if found} == {
        reason: n for reason, n in behind.items() if n
    }
    Counters.objects.create(mailing=mailing)
    Mailing.objects.filter(pk=mailing.pk).update(
        state="preparing", launched_at=timezone.now(), ceiling=audience.newest()
    )
    usual, prepare.CHUNK = prepare.CHUNK, chunk
    try:
        while prepare.prepare_some(mailing.id):
            pass
    finally:
        prepare.CHUNK = usual
    rows = Message.objects.filter(mailing=mailing)
    stored = {
        (row.reason, row.user_id): row.status for row in rows.only("reason", "user_id", "status")
    }
    assert stored == {
        (reason, user.id): Status.SKIPPED if reason else Status.WAITING
        for reason, found in lists.items()
        for user in found
    }
    mailing_factories.assert_counters_equal_rows(mailing)


def _is_meant(each: Anyone, plan: Plan) -> bool:
    if isinstance(plan.chosen, set):
        return bool(each.groups & plan.chosen)
    return plan.chosen == "everyone" or each.city == "Kazan"


def _world(everybody: list[Anyone], out: str, plan: Plan) -> Mailing:
    """A fresh one for each example: they share the test's transaction."""
    for model in (Message, Batch, Counters, Mailing, AuditEvent, ConsentEvent, OptOut, Policy):
        model.objects.all().delete()
    User.objects.all().delete()
    groups = [Group.objects.get_or_create(name=f"Group {n}")[0] for n in range(3)]
    if out:
        opted_out(out)
    users = [
        User(
            email=f"anyone{number}@example.com",
            first_name=each.name,
            city=each.city,
            phone=each.phone,
            is_active=each.active,
            phone_confirmed_at=each.confirmed,
            phone_shared=each.shared,
            sms_forbidden=each.forbidden,
        )
        for number, each in enumerate(everybody)
    ]
    User.objects.bulk_create(users)
    Membership.objects.bulk_create(
        Membership(user=user, group=groups[n])
        for user, each in zip(users, everybody, strict=True)
        for n in each.groups
    )
    if plan.cap:
        mailing_factories.policy(cap_messages=plan.cap)
    _books(plan.had)
    segment, _ = Segment.objects.get_or_create(name="Kazan", defaults={"rule": KAZAN})
    mailing = mailing_factories.draft(
        text=plan.text,
        everyone=plan.chosen == "everyone",
        only_confirmed=plan.only_confirmed,
        segment=segment if plan.chosen == "kazan" else None,
    )
    if isinstance(plan.chosen, set):
        mailing.groups.set([groups[n] for n in plan.chosen])
    return mailing


def _books(had: dict[str, int]) -> None:
    """Other mailings that have reached these phones."""
    for number in (1, 2):
        phones = [phone for phone, times in had.items() if times >= number]
        other = mailing_factories.draft(state=Mailing.State.DONE)
        batch = Batch.objects.create(
            mailing=other, size=2, reference=f"r{number}", claimed_at=timezone.now()
        )
        for phone in phones:
            Message.objects.create(
                mailing=other, key=phone, phone=phone, batch=batch, status=Status.DELIVERED
            )
