"""Rules: what they find, how they read, and that no JSON, however hostile, does harm."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone, translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailings.audience import conditions
from mailings.models import Batch, Mailing, Message
from tests import factories
from users.models import Group, Membership, OptOut, OwnField, Segment, User
from users.segments import rules, segments
from users.segments.big_queries import over_everybody

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_english")]


@pytest.fixture
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


def rule(*parts: Any, how: str = "all") -> dict[str, Any]:
    return {"version": 1, how: list(parts)}


def asks(field: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def found(raw: object) -> set[str]:
    names = segments.people(rules.read(raw)).values_list("email", flat=True)
    with over_everybody():  # where the same is asked in other words
        within = segments.people(rules.read(raw)).values_list("email", flat=True)
        assert sorted(names) == sorted(within)
    return {each.partition("@")[0] for each in names}


@pytest.fixture
def school() -> dict[str, User]:
    """Four people, every one different."""
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return {
        "anna": factories.person(
            "anna", city="Казань", phone="+79980000011", date_joined=at, phone_confirmed_at=at,
            fields={"course": "Python", "age": 30, "vip": True, "born": "1990-05-01"},
        ),
        "boris": factories.person(
            "boris", city="казань", date_joined=at + timedelta(days=40), language="ru",
            fields={"age": 9, "vip": False},
        ),
        "vera": factories.person("vera", city="Omsk", phone="+79980000013", sms_forbidden=True),
        "gone": factories.person("gone", city="Казань", is_active=False),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (asks("city", "is", "казань"), {"anna", "boris"}),
        (asks("city", "is_not", "Казань"), {"vera"}),
        (asks("city", "contains", "аз"), {"anna", "boris"}),
        (asks("city", "contains", "%"), set()),
        (asks("phone", "present"), {"anna", "vera"}),
        (asks("phone", "confirmed"), {"anna"}),
        (asks("phone", "unconfirmed"), {"vera"}),
        (asks("sms", "forbidden"), {"vera"}),
        (asks("language", "is", "ru"), {"boris"}),
        (asks("registered", "between", ["2026-03-01", "2026-03-01"]), {"anna"}),
        (asks("registered", "before", "2026-03-01"), set()),
        (asks("registered", "since", "2026-03-02"), {"boris", "vera"}),
        (asks("seen", "in_days", 30), set()),
        (asks("seen", "not_in_days", 30), {"anna", "boris", "vera"}),
        (asks("own:course", "is", "python"), {"anna"}),
        (asks("own:course", "filled"), {"anna"}),
        (asks("own:age", "above", 9), {"anna"}),
        (asks("own:age", "is", 9), {"boris"}),
        (asks("own:vip", "yes"), {"anna"}),
        (asks("own:vip", "no"), {"boris"}),
        (asks("own:born", "before", "1990-05-02"), {"anna"}),
        ({"not": asks("own:vip", "yes")}, {"boris", "vera"}),
        ({"not": asks("own:age", "below", 20)}, {"anna", "vera"}),
        (
            {"any": [asks("city", "is", "Omsk"), {"all": [asks("own:age", "above", 20)]}]},
            {"anna", "vera"},
        ),
    ],
)
def test_it_finds(school: dict[str, User], part: dict[str, Any], names: set[str]) -> None:
    for slug, kind in [("course", "text"), ("age", "number"), ("vip", "yes_no"), ("born", "date")]:
        OwnField.objects.create(slug=slug, label=slug, kind=kind)
    assert found(rule(part)) == names


def test_groups_with_the_day_somebody_was_added(school: dict[str, User]) -> None:
    evening = Group.objects.create(name="Evening")
    for name, day in [("anna", 1), ("boris", 20)]:
        at = datetime(2026, 4, day, 12, tzinfo=UTC)
        Membership.objects.create(user=school[name], group=evening, added_at=at)
    number = str(evening.pk)
    assert found(rule(asks("group", "in", number))) == {"anna", "boris"}
    assert found(rule(asks("group", "not_in", number))) == {"vera"}
    assert found(rule(asks("group", "since", [number, "2026-04-20"]))) == {"boris"}
    assert found(rule(asks("group", "before", [number, "2026-04-20"]))) == {"anna"}


def test_opted_out(school: dict[str, User]) -> None:
    OptOut.objects.create(phone="+79980000011", source="reply")
    assert found(rule(asks("sms", "opted_out"))) == {"anna"}


def test_what_people_got(school: dict[str, User]) -> None:
    now = timezone.now()
    mailing = Mailing.objects.create(name="Webinar", state="done", launched_at=now)
    batch = Batch.objects.create(mailing=mailing, size=3, reference="a", claimed_at=now)

    def got(name: str, status: str, **fields: Any) -> None:
        Message.objects.create(
            mailing=mailing, key=name, user=school[name], status=status, batch=batch, **fields
        )

    got("anna", "delivered", submitted_at=now, first_click_at=now)
    got("boris", "accepted", submitted_at=now - timedelta(days=3))
    got("vera", "skipped")
    number = str(mailing.pk)
    assert found(rule(asks("mailing", "received", number))) == {"anna"}
    assert found(rule(asks("mailing", "sent", number))) == {"anna", "boris"}
    assert found(rule(asks("mailing", "clicked", number))) == {"anna"}
    assert found(rule(asks("mailing", "not_clicked", number))) == {"boris"}
    assert found(rule(asks("lately", "had", 2))) == {"anna"}
    assert found(rule(asks("lately", "had_none", 2))) == {"boris", "vera"}


def test_a_rule_keeps_a_mailing_that_the_list_no_longer_offers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, _new = (
        Mailing.objects.create(name=name, state="done", launched_at=timezone.now())
        for name in ("Old", "New")
    )
    monkeypatch.setattr(conditions, "OFFERED", 1)
    assert [name for _number, name in conditions.mailings()] == ["New"]
    read = rules.read(rule(asks("mailing", "sent", str(old.pk))))
    assert rules.sentence(read) == "Mailing was sent: “Old”"


def test_a_segment_inside_a_segment(school: dict[str, User]) -> None:
    kazan = Segment.objects.create(name="Kazan", rule=rule(asks("city", "is", "Казань")))
    outer = rule({"segment": kazan.pk}, asks("phone", "present"))
    assert found(outer) == {"anna"}
    assert rules.sentence(rules.read(outer)) == "In the segment “Kazan” and Phone is there"
    assert rules.written_out(rules.read(outer)) == rule(
        {"all": [asks("city", "is", "Казань")]}, asks("phone", "present")
    )
    kazan.rule = outer
    kazan.save()
    assert segments.uses(kazan.pk) == []
    with pytest.raises(rules.BadRule, match="inside itself"):
        rules.read(kazan.rule, of=kazan.pk)


def test_it_reads_as_a_sentence() -> None:
    group = Group.objects.create(name="Evening")
    raw = rule(
        asks("city", "is", "Kazan"),
        {
            "any": [
                asks("group", "since", [str(group.pk), "2026-03-01"]),
                {"not": asks("phone", "absent")},
            ]
        },
    )
    assert rules.sentence(rules.read(raw)) == (
        "City is “Kazan” and (Group is in, added since “Evening”, March 1, 2026 or "
        "not (Phone is missing))"
    )


@pytest.mark.parametrize(
    "raw",
    [
        None, [], "x", {}, {"version": 1}, {"version": 2, "all": [asks("phone", "absent")]},
        rule(), rule(None), rule({}), rule({"all": []}), rule({"all": "x"}), rule({"not": 1}),
        rule(asks("password", "is", "x")), rule(asks("city", "regex", "x")),
        rule(asks("city", "is", ["x"])), rule(asks("city", "is", "")),
        rule(asks("city", "is", "a\0b")), rule(asks("city", "is", "x" * 300)),
        rule({"field": ["city"], "op": "is", "value": "x"}),
        rule({"field": "city", "op": {"a": 1}, "value": "x"}),
        rule(asks("group", "in", "99")), rule(asks("group", "in", 1)),
        rule(asks("seen", "in_days", 10**400)), rule(asks("seen", "in_days", float("nan"))),
        rule(asks("seen", "in_days", True)), rule(asks("seen", "since", "2026-02-30")),
        rule(asks("seen", "between", ["2026-02-02", "2026-02-01"])),
        rule({"segment": 10**30}), rule({"segment": "1"}), rule({"segment": 5}),
        rule(*[asks("phone", "absent")] * 101),
        {"version": 1, "all": [{"all": [{"all": [{"all": [{"all": [{"all": [asks("phone", "absent")]}]}]}]}]}]},
    ],
)  # fmt: skip
def test_it_refuses_with_words(raw: object) -> None:
    with pytest.raises(rules.BadRule) as refused:
        rules.read(raw)
    assert refused.value.message.endswith(".")


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["all", "any", "not", "field", "op", "value", "segment", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(junk)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_json_is_read_or_refused(raw: object) -> None:
    try:
        read = rules.read({"version": 1, **raw} if isinstance(raw, dict) else raw)
    except rules.BadRule:
        return
    assert segments.count(read) == 0


class Oracle:
    """The same rule, asked of one person in plain Python."""

    def __init__(self, person: User) -> None:
        self.person = person

    def holds(self, raw: dict[str, Any]) -> bool:
        match raw:
            case {"all": parts}:
                return all(self.holds(each) for each in parts)
            case {"any": parts}:
                return any(self.holds(each) for each in parts)
            case {"not": part}:
                return not self.holds(part)
            case {"field": "city", "value": city}:
                return bool(self.person.city.lower() == city.lower())
            case {"field": "own:age", "op": op, "value": age}:
                mine = self.person.fields.get("age")
                return mine is not None and (mine > age if op == "above" else mine < age)
            case {"field": "phone"}:
                return bool(self.person.phone)
        raise AssertionError(raw)


leaf = st.one_of(
    st.builds(lambda city: asks("city", "is", city), st.sampled_from(["Казань", "OMSK", "Perm"])),
    st.builds(
        lambda op, age: asks("own:age", op, age),
        st.sampled_from(["above", "below"]),
        st.integers(0, 40),
    ),
    st.just(asks("phone", "present")),
)
trees = st.recursive(
    leaf,
    lambda inner: st.builds(lambda part: {"not": part}, inner)
    | st.builds(lambda how, parts: {how: parts}, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=5,
)  # fmt: skip


@given(tree=trees)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_database_finds_whom_plain_python_finds(
    school: dict[str, User], tree: dict[str, Any]
) -> None:
    OwnField.objects.get_or_create(slug="age", defaults={"label": "Age", "kind": "number"})
    everybody = [each for each in school.values() if each.is_active]
    expected = {each.first_name.lower() for each in everybody if Oracle(each).holds(tree)}
    try:
        assert found(rule(tree)) == expected
    except rules.BadRule as bad:
        assert "too large" in bad.message  # noqa: PT017 - a tree of hypothesis may be deeper than we read
