"""Confirming a phone by a code: how long it holds, how often it may be asked for and tried, and that
it is for this person and this phone alone. Sent by the simulator.
"""

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client

from integrations.models import SimulatedSms
from mailings.models import Batch, Message
from mailings.notifications import editing, registry
from mailings.sending import claim, record, worker
from tests import factories
from users.access import link_sessions
from users.consent import confirmation, consent
from users.consent.confirmation import NoCode, WrongCode
from users.models import AuditEvent, ConsentEvent, OptOut, PhoneCode, User

As = Callable[[User], Client]
pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(autouse=True)
def service(db: None) -> None:
    factories.simulator()


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def code_of(person: User) -> str:
    code = confirmation.open_code(person)
    assert code is not None
    return confirmation.code_of(code.nonce)


def another(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def asked(person: User, times: int, clock: Any, *, apart: timedelta) -> None:
    for _ in range(times):
        confirmation.send(person, "192.0.2.0/24")
        clock.shift(apart)


# --- the right code -----------------------------------------------------------------------------
@pytest.mark.parametrize("spell", ["{}", " {} ", "{0[0]}{0[1]}{0[2]} {0[3]}{0[4]}{0[5]}"])
def test_the_right_code_confirms_the_phone_and_is_written_down(student: User, spell: str) -> None:
    confirmation.send(student)
    confirmation.confirm(student, spell.format(code_of(student)))
    student.refresh_from_db()
    assert student.phone_confirmed_at
    event = ConsentEvent.objects.get()
    assert (event.kind, event.phone, event.by) == ("confirmed", student.phone, student)
    assert AuditEvent.objects.get(what="phone_confirmed").details == {}


def test_the_code_that_leaves_is_the_code_that_confirms(student: User) -> None:
    confirmation.send(student)
    record.record(batch := _claimed(), worker.hand_over(batch))
    (code,) = re.findall(r"\d{6}", SimulatedSms.objects.get(phone=student.phone).text)
    confirmation.confirm(student, code)
    student.refresh_from_db()
    assert student.phone_confirmed_at


def _claimed() -> claim.ClaimedBatch:
    batch = claim.claim(lane=True)
    assert batch is not None
    return batch


def test_codes_have_six_digits_and_differ() -> None:
    codes = {confirmation.code_of(f"{number:016}") for number in range(1000)}
    assert {len(code) for code in codes} == {6}
    assert len(codes) > 990


def test_neither_the_code_nor_a_hash_of_it_is_stored(student: User, settings: Any) -> None:
    """Whoever copies the database without the installation's key can work out nothing."""
    confirmation.send(student)
    code = code_of(student)
    assert code not in Message.objects.get().text
    assert code not in str(PhoneCode.objects.values().get())
    settings.SECRET_KEY = "another one"
    assert code_of(student) != code


def test_a_code_is_used_once(student: User) -> None:
    confirmation.send(student)
    code = code_of(student)
    confirmation.confirm(student, code)
    with pytest.raises(WrongCode):
        confirmation.confirm(student, code)
    assert ConsentEvent.objects.count() == 1


# --- the wrong one ------------------------------------------------------------------------------
@pytest.mark.parametrize("typed", ["", "abc", "12345", "1234567", "１２３４５６", "\0"])
def test_what_is_no_code_confirms_nothing(student: User, typed: str) -> None:
    confirmation.send(student)
    with pytest.raises(WrongCode):
        confirmation.confirm(student, typed)
    student.refresh_from_db()
    assert student.phone_confirmed_at is None


def test_after_five_wrong_tries_the_right_one_holds_no_more(student: User) -> None:
    confirmation.send(student)
    code = code_of(student)
    for _ in range(4):
        with pytest.raises(WrongCode, match="not the code"):
            confirmation.confirm(student, another(code))
    with pytest.raises(WrongCode, match="Wrong too often"):
        confirmation.confirm(student, another(code))
    with pytest.raises(WrongCode, match="holds no more"):
        confirmation.confirm(student, code)
    assert PhoneCode.objects.get().tries == 5


def test_the_fifth_try_may_be_the_right_one(student: User) -> None:
    confirmation.send(student)
    code = code_of(student)
    for _ in range(4):
        with pytest.raises(WrongCode):
            confirmation.confirm(student, another(code))
    confirmation.confirm(student, code)


@pytest.mark.parametrize(("passed", "holds"), [(599, True), (600, False), (86_400, False)])
def test_a_code_holds_for_ten_minutes(student: User, clock: Any, passed: int, holds: bool) -> None:
    confirmation.send(student)
    code = code_of(student)
    clock.shift(timedelta(seconds=passed))
    if holds:
        confirmation.confirm(student, code)
    else:
        with pytest.raises(WrongCode, match="holds no more"):
            confirmation.confirm(student, code)


def test_a_new_code_replaces_the_old_one(student: User, clock: Any) -> None:
    confirmation.send(student)
    old = code_of(student)
    clock.shift(timedelta(minutes=2))
    confirmation.send(student)
    with pytest.raises(WrongCode):
        confirmation.confirm(student, old)
    confirmation.confirm(student, code_of(student))


def test_anothers_code_confirms_nothing(student: User) -> None:
    sister = factories.person("vera", phone="+79980000002")
    confirmation.send(student)
    with pytest.raises(WrongCode):
        confirmation.confirm(sister, code_of(student))


def test_a_changed_phone_loses_its_confirmation_and_the_open_code(as_: As, student: User) -> None:
    client = as_(student)
    client.post("/me/phone/send/")
    code = code_of(student)
    client.post("/me/", {"first_name": "Ivan", "phone": "8 998 000 00 55"})
    assert client.post("/me/phone/", {"code": code}).status_code == 200
    client.post("/me/", {"first_name": "Ivan", "phone": student.phone})  # and back again
    client.post("/me/phone/", {"code": code})
    student.refresh_from_db()
    assert student.phone_confirmed_at is None


def test_a_phone_changed_by_whatever_way_has_no_open_code(student: User) -> None:
    confirmation.send(student)
    code = code_of(student)
    User.objects.filter(pk=student.pk).update(phone="+79980000055")
    with pytest.raises(WrongCode):
        confirmation.confirm(student, code)


# --- how often ----------------------------------------------------------------------------------
def test_one_code_a_minute(student: User, clock: Any) -> None:
    confirmation.send(student)
    clock.shift(timedelta(seconds=59))
    with pytest.raises(NoCode, match="less than a minute"):
        confirmation.send(student)
    clock.shift(timedelta(seconds=1))
    confirmation.send(student)
    assert Message.objects.count() == 2


def test_five_codes_an_hour(student: User, clock: Any) -> None:
    asked(student, 5, clock, apart=timedelta(minutes=2))
    with pytest.raises(NoCode, match="in an hour"):
        confirmation.send(student)
    clock.shift(timedelta(minutes=50))
    confirmation.send(student)


def test_the_limits_are_of_the_phone_as_well(student: User, clock: Any) -> None:
    """Or a stranger's phone would ring for each account that names it."""
    brothers = [factories.person(f"brother{n}", phone=student.phone) for n in range(6)]
    for each in brothers[:5]:
        confirmation.send(each)
        with pytest.raises(NoCode, match="less than a minute"):
            confirmation.send(brothers[5])
        clock.shift(timedelta(minutes=2))
    with pytest.raises(NoCode, match="in an hour"):
        confirmation.send(brothers[5])


def test_the_limits_are_of_the_person_as_well(student: User, clock: Any) -> None:
    """Or one account would make phone after phone ring."""
    for number in range(5):
        User.objects.filter(pk=student.pk).update(phone=f"+7998000010{number}")
        confirmation.send(student)
        clock.shift(timedelta(minutes=2))
    User.objects.filter(pk=student.pk).update(phone="+79980000109")
    with pytest.raises(NoCode, match="in an hour"):
        confirmation.send(student)


def test_a_network_has_its_limit(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    monkeypatch.setattr(confirmation, "PER_NETWORK", 2)
    for number in range(2):
        person = factories.person(f"s{number}", phone=f"+7998000010{number}")
        confirmation.send(person, "192.0.2.0/24")
    last = factories.person("last", phone="+79980000109")
    with pytest.raises(NoCode, match="your network"):
        confirmation.send(last, "192.0.2.0/24")
    confirmation.send(last, "198.51.100.0/24")


def test_a_page_counts_by_the_network_it_was_asked_from(as_: As, student: User) -> None:
    as_(student).post("/me/phone/send/", REMOTE_ADDR="192.0.2.77")
    assert PhoneCode.objects.get().network == "192.0.2.0/24"


def test_old_codes_are_forgotten(student: User, clock: Any) -> None:
    confirmation.send(student)
    clock.shift(timedelta(days=2))
    confirmation.send(student)
    assert PhoneCode.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_the_same_moment_are_one_code() -> None:
    student = factories.student()
    registry.named(registry.PHONE_CODE)
    both = threading.Barrier(2, timeout=20)
    refused: list[str] = []

    def click() -> None:
        try:
            connection.ensure_connection()
            both.wait()
            confirmation.send(student)
        except NoCode as words:
            refused.append(str(words))
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 1
    assert Message.objects.count() == 1


# --- to whom none is sent -----------------------------------------------------------------------
def test_where_sms_are_forbidden_no_code_is_sent_and_the_page_says_why(
    as_: As, student: User
) -> None:
    consent.forbid(student, None)
    client = as_(student)
    assert "SMS to you are forbidden" in client.get("/me/phone/").content.decode()
    assert "/me/phone/send/" not in client.get("/me/").content.decode()
    page = client.post("/me/phone/send/", follow=True).content.decode()
    assert "No code is sent to you" in page
    assert not Batch.objects.exists()
    assert Message.objects.get().reason == "forbidden"
    client.post("/me/phone/send/")
    assert Message.objects.count() == 1, "a refusal counts by the minute too"


def test_a_number_that_has_opted_out_gets_no_code(as_: As, student: User) -> None:
    consent.opt_out(student.phone, OptOut.Source.REPLY)
    client = as_(student)
    assert "are switched off" in client.get("/me/phone/").content.decode()
    client.post("/me/phone/send/")
    assert not Batch.objects.exists()


def test_while_codes_are_switched_off_none_is_offered_or_sent(as_: As, student: User) -> None:
    code = registry.named(registry.PHONE_CODE)
    assert code is not None
    editing.switch(code, student, on=False)
    client = as_(student)
    assert "/me/phone/send/" not in client.get("/me/").content.decode()
    assert "Codes cannot be sent now" in client.get("/me/phone/").content.decode()
    page = client.post("/me/phone/send/", follow=True).content.decode()
    assert "Codes cannot be sent here now" in page
    assert not Message.objects.exists()


def test_without_a_phone_or_with_a_confirmed_one_none_is_sent(
    student: User, employee: User
) -> None:
    with pytest.raises(NoCode, match="no phone"):
        confirmation.send(employee)
    confirmation.send(student)
    confirmation.confirm(student, code_of(student))
    with pytest.raises(NoCode, match="already"):
        confirmation.send(student)


# --- the pages ----------------------------------------------------------------------------------
def test_a_student_confirms_on_their_own_page(as_: As, student: User) -> None:
    client = as_(student)
    assert "/me/phone/send/" in client.get("/me/").content.decode()
    page = client.post("/me/phone/send/", follow=True).content.decode()
    assert "on its way" in page
    assert code_of(student) not in page
    wrong = client.post("/me/phone/", {"code": another(code_of(student))})
    assert "This is not the code" in wrong.content.decode()
    right = client.post("/me/phone/", {"code": code_of(student)}, follow=True)
    assert "the number is confirmed" in right.content.decode()
    assert "/me/phone/send/" not in client.get("/me/").content.decode()
    assert "Nothing needs to be done" in client.get("/me/phone/").content.decode()


def test_the_last_wrong_try_says_what_to_do(as_: As, student: User) -> None:
    client = as_(student)
    client.post("/me/phone/send/")
    wrong = another(code_of(student))
    for _ in range(5):
        page = client.post("/me/phone/", {"code": wrong}).content.decode()
    assert "Wrong too often" in page
    assert "Send the code" in page


def test_whoever_came_by_a_link_may_confirm_too(
    as_: As, student: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the phone, which is more than the link; and they cannot write down another one."""
    monkeypatch.setattr(link_sessions.revoked_at_the_source, "given", lambda *_link: False)
    client = as_(student)
    session = client.session
    session[link_sessions.MARK] = {"source": "mailing 1", "submitted_at": ""}
    session.save()
    client.post("/me/phone/send/")
    client.post("/me/phone/", {"code": code_of(student)})
    student.refresh_from_db()
    assert student.phone_confirmed_at


def test_a_number_confirmed_may_be_switched_on_again(as_: As, student: User) -> None:
    confirmation.send(student)
    confirmation.confirm(student, code_of(student))
    consent.opt_out(student.phone, OptOut.Source.REPLY)
    as_(student).post("/me/sms/", {"on": "yes"})
    assert not OptOut.objects.exists()
