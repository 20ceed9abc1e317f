"""Would this person get it? Yes, or what is against it."""

from typing import Any

import pytest
from django.utils import timezone

from integrations.reasons import Reason
from mailings.audience import funnel
from mailings.audience.eligibility import REASONS, Eligibility, eligibility
from mailings.audience.exclusions import reasons_of
from mailings.audience.spec import AudienceSpec
from mailings.lifecycle import on_entry
from mailings.models import Mailing
from tests import factories
from tests.mailings import mailing_factories
from users.consent.consent import opt_out_all
from users.models import Group, OptOut, Segment, User
from users.segments.rules import BadRule

pytestmark = pytest.mark.django_db
CITY = {"field": "city", "op": "is", "value": "Kazan"}


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"
    factories.simulator()


def vera(**fields: Any) -> User:
    return factories.person("vera", **{"phone": "+79980000011", "city": "Kazan"} | fields)


def segmented(*conditions: dict[str, Any], how: str = "all") -> Mailing:
    rule = {"version": 1, how: list(conditions)}
    return mailing_factories.draft(
        everyone=False, segment=Segment.objects.create(name="Rule", rule=rule)
    )


def test_yes() -> None:
    person = vera()
    assert eligibility(segmented(CITY), person) == Eligibility(person, yes=True)


def test_the_conditions_that_do_not_hold_are_named_and_the_others_are_not() -> None:
    group = Group.objects.create(name="Course")
    in_group = {"field": "group", "op": "in", "value": str(group.pk)}
    phone = {"field": "phone", "op": "confirmed"}
    said = eligibility(segmented(CITY, in_group, {"not": CITY}, phone), vera())
    assert not said.yes
    assert said.missing == [
        "Group is in “Course”",
        "Not (City is “Kazan”)",
        "Phone is confirmed",
    ]


def test_of_an_or_the_whole_is_named() -> None:
    other = {"field": "city", "op": "is", "value": "Omsk"}
    said = eligibility(segmented(CITY, other, how="any"), vera(city="Perm"))
    assert said.missing == ["City is “Kazan” or City is “Omsk”"]


def test_inside_another_segment_its_condition_is_named() -> None:
    inner = Segment.objects.create(name="Inner", rule={"version": 1, "all": [CITY]})
    said = eligibility(segmented({"segment": inner.pk}), vera(city="Perm"))
    assert said.missing == ["City is “Kazan”"]


def test_groups_are_named() -> None:
    draft = mailing_factories.draft(everyone=False)
    draft.groups.set([Group.objects.create(name=name) for name in ("A", "B")])
    assert eligibility(draft, vera()).missing == ["Is in one of the groups: A, B"]


def test_where_nobody_is_chosen_there_is_nothing_to_say() -> None:
    with pytest.raises(BadRule):
        eligibility(mailing_factories.draft(everyone=False), vera())


def test_who_may_not_sign_in_is_in_no_mailing() -> None:
    assert "May not sign in" in eligibility(mailing_factories.draft(), vera(is_active=False)).words


CASES: dict[Reason, dict[str, Any]] = {
    Reason.NO_PHONE: {"phone": ""},
    Reason.BAD_PHONE: {"phone": "112"},
    Reason.NOT_CONFIRMED: {},
    Reason.FORBIDDEN: {"sms_forbidden": True, "phone_confirmed_at": timezone.now()},
    Reason.OPTED_OUT: {"phone_confirmed_at": timezone.now()},
    Reason.HAD_LATELY: {"phone_confirmed_at": timezone.now()},
    Reason.EMPTY_TEXT: {"phone_confirmed_at": timezone.now(), "first_name": ""},
    Reason.SAME_PHONE: {"phone_confirmed_at": timezone.now()},
}


@pytest.mark.parametrize("reason", list(CASES))
def test_the_first_reason_of_the_funnel(reason: Reason, owner: User) -> None:
    if reason is Reason.SAME_PHONE:
        factories.person("first", phone="+79980000011", phone_confirmed_at=timezone.now())
    person = vera(**CASES[reason])
    if reason is Reason.OPTED_OUT:
        opt_out_all([person.phone], OptOut.Source.PERSON)
    if reason is Reason.HAD_LATELY:
        mailing_factories.policy(cap_messages=1)
        mailing_factories.prepared(owner)
        mailing_factories.sent()
    draft = mailing_factories.draft(only_confirmed=True, text="{first_name}")
    assert eligibility(draft, person).reason == reason
    assert funnel.count(draft).excluded[reason] >= 1


def test_no_reason_of_the_funnel_is_forgotten() -> None:
    """Those that the funnel knows: whatever else there is, is not about a person before the launch."""
    spec = AudienceSpec.of(mailing_factories.draft(text="{first_name}", only_confirmed=True))
    mailing_factories.policy(cap_messages=1)
    known = {each.reason for each in reasons_of(spec)} | {Reason.SAME_PHONE}
    assert known == set(REASONS)


def test_who_has_come_already_is_not_considered_again() -> None:
    person = vera()
    mailing = mailing_factories.watching(everyone=True)
    assert eligibility(mailing, person).yes
    while on_entry.watch_due():
        pass
    said = eligibility(mailing, person)
    assert (said.yes, said.message) == (False, mailing.messages.get())
    assert "already" in said.words


def test_who_was_there_before_does_not_get_what_is_for_those_who_come_later() -> None:
    person = vera()
    mailing = mailing_factories.watching(everyone=True, present_too=False)
    assert "after the launch" in eligibility(mailing, person).words
    while on_entry.watch_due():
        pass
    said = eligibility(mailing, person)
    assert "when the watching began" in said.words
    assert (said.yes, said.message) == (False, None)
    mailing.refresh_from_db()
    assert eligibility(mailing, factories.person("late", phone="+79980000012")).yes
