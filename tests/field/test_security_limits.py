"""What costs money and nobody else looks at: tests to typed numbers and codes (security.md, S3)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from mailings.models import Batch, Mailing, Message, Policy
from mailings.notifications import test_limits
from tests import factories
from tests.mailings import mailing_factories
from users.consent import confirmation, consent
from users.models import OptOut, PhoneCode, User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
MINE = "+79980000077"


@pytest.fixture(autouse=True)
def service(db: None, settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"
    factories.simulator()


@pytest.fixture
def manager() -> User:
    return factories.manager(phone=MINE, phone_confirmed_at=timezone.now())


@pytest.fixture
def draft() -> Mailing:
    return mailing_factories.draft()


def sends_test(client: Client, draft: Mailing, number: int | str) -> str:
    phone = number if isinstance(number, str) else f"+799810000{number:02}"
    page = client.post(f"/mailings/{draft.pk}/test/", {"phone": phone}, follow=True)
    return page.content.decode()


def test_tests_to_other_numbers_are_counted_and_come_to_an_end(
    as_: As, manager: User, draft: Mailing
) -> None:
    client = as_(manager)
    for number in range(test_limits.PER_PERSON + 6):
        sends_test(client, draft, number)
    assert Message.objects.count() == test_limits.PER_PERSON
    assert "20 tests to other numbers" in sends_test(client, draft, 50)
    for _ in range(3):  # to oneself as many as one likes
        sends_test(client, draft, MINE)
    assert Message.objects.count() == test_limits.PER_PERSON + 3
    Batch.objects.update(not_before=timezone.now() - timedelta(hours=25))
    sends_test(client, draft, 51)
    assert Message.objects.count() == test_limits.PER_PERSON + 4


def test_the_page_says_how_many_are_left(as_: As, manager: User, draft: Mailing) -> None:
    sends_test(as_(manager), draft, 1)
    page = as_(manager).get(f"/mailings/{draft.pk}/test/").content.decode()
    assert "19 more in 24 hours" in page


def test_a_number_that_one_has_only_written_down_is_no_own_one(
    as_: As, manager: User, draft: Mailing
) -> None:
    """Else whoever changes the own number each time has no limit."""
    client = as_(manager)
    for number in range(test_limits.PER_PERSON + 3):
        phone = f"+799810000{number:02}"
        User.objects.filter(pk=manager.pk).update(phone=phone, phone_confirmed_at=None)
        sends_test(client, draft, phone)
    assert Message.objects.count() == test_limits.PER_PERSON


def test_all_together_have_a_limit_too(
    as_: As, manager: User, draft: Mailing, monkeypatch: pytest.MonkeyPatch, owner: User
) -> None:
    monkeypatch.setattr(test_limits, "PER_ACCOUNT", 3)
    for number, who in enumerate([manager, owner, manager]):
        sends_test(as_(who), draft, number)
    assert "All together" in sends_test(as_(owner), draft, 9)
    assert Message.objects.count() == 3


@pytest.mark.parametrize(("above", "sent"), [(0, 0), (2, 2), (None, 5)])
def test_what_needs_a_second_person_does_not_go_as_tests(
    as_: As, manager: User, draft: Mailing, above: int | None, sent: int
) -> None:
    mailing_factories.policy(two_people_above=above)
    client = as_(manager)
    said = [sends_test(client, draft, number) for number in range(5)]
    assert Message.objects.count() == sent
    assert ("second person" in said[-1]) is (above is not None)
    sends_test(client, draft, MINE)
    assert Message.objects.count() == sent + 1
    if above:  # the same numbers once more are no more people
        sends_test(client, draft, 0)
        assert Message.objects.count() == sent + 2


@pytest.mark.parametrize("how", ["forbidden", "opted_out"])
def test_none_goes_to_the_number_of_somebody_who_refuses(
    as_: As, manager: User, student: User, draft: Mailing, how: str
) -> None:
    if how == "forbidden":
        consent.forbid(student, manager)
    else:
        consent.opt_out(student.phone, OptOut.Source.REPLY)
    assert "does not want any" in sends_test(as_(manager), draft, student.phone)
    assert not Message.objects.exists()


def test_tries_of_a_notification_are_counted_with_them(as_: As, manager: User) -> None:
    from mailings.notifications import registry

    welcome = registry.named(registry.WELCOME)
    assert welcome is not None
    client = as_(manager)
    for person in factories.students(test_limits.PER_PERSON + 2, digits="01"):
        client.post(f"/notifications/{welcome.pk}/try/", {"email": person.email})
    assert Message.objects.count() == test_limits.PER_PERSON


# --- codes --------------------------------------------------------------------------------------
def asked_before(count: int, person: User, **fields: Any) -> None:
    ago = timezone.now() - timedelta(hours=3)
    fields = {"phone": person.phone, "asked_at": ago} | fields
    PhoneCode.objects.bulk_create(
        PhoneCode(user=person, nonce=f"{person.pk}-{number}-{len(fields)}", **fields)
        for number in range(count)
    )


def test_codes_come_to_an_end_for_everybody_together(student: User) -> None:
    mailing_factories.policy(codes_a_day=3)
    others = factories.students(3, digits="02")
    for each in others:
        asked_before(1, each)
    with pytest.raises(confirmation.NoCode, match="No more codes are sent today"):
        confirmation.send(student)
    Policy.objects.update(codes_a_day=4)
    confirmation.send(student)


def test_and_for_one_person_one_phone_and_one_network(student: User) -> None:
    asked_before(confirmation.PER_DAY, student, phone="+79980000099")
    with pytest.raises(confirmation.NoCode, match="Try again tomorrow"):
        confirmation.send(student)
    PhoneCode.objects.all().delete()
    zoya = factories.person("zoya", phone=student.phone)
    asked_before(confirmation.PER_DAY, zoya)
    confirmation.send(student)  # one alone does not use up what a phone may get
    PhoneCode.objects.all().delete()
    asked_before(confirmation.PER_PHONE_A_DAY, zoya)
    with pytest.raises(confirmation.NoCode, match="Try again tomorrow"):
        confirmation.send(student)
    PhoneCode.objects.all().delete()
    other = factories.person("other", phone="+79980000098")
    asked_before(confirmation.PER_NETWORK_A_DAY, other, network="192.0.2.0/24")
    with pytest.raises(confirmation.NoCode, match="your network today"):
        confirmation.send(student, "192.0.2.0/24")
    confirmation.send(student, "198.51.100.0/24")
