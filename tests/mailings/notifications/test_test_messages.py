"""Test messages: one person, one message, in a lane of its own, and in nobody's figures."""

import threading
from collections.abc import Iterator

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import translation

from integrations.models import Account
from integrations.providers.contract import Outcome
from integrations.routing import accounts
from mailings.lifecycle import transitions
from mailings.models import Counters, Mailing, Message
from mailings.notifications import send
from mailings.notifications.send import NotSent, send_one, send_test
from tests import factories
from tests.mailings import mailing_factories
from users.consent import consent
from users.models import AuditEvent, OptOut, User

PHONE = "+79980000055"


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    """The words below are the source strings, whatever the language of the installation."""
    with translation.override("en"):
        yield


@pytest.fixture
def account(db: None) -> Account:
    return factories.simulator()


@pytest.fixture
def draft(account: Account, manager: User) -> Mailing:
    User.objects.filter(id=manager.id).update(phone=PHONE)
    manager.refresh_from_db()
    return mailing_factories.draft()


def test_a_test_goes_to_oneself_with_the_variables_filled_in(draft: Mailing, manager: User) -> None:
    message = send_test(draft, manager, manager)
    assert (message.phone, message.text, message.status) == (
        PHONE,
        "Webinar at six, Maria",
        "waiting",
    )
    assert message.parts == 1
    batch = mailing_factories.sent(Outcome.TAKEN)
    assert [sms.key for sms in batch.messages] == [message.id]
    assert AuditEvent.objects.get(what="test_sent").details == {"person": manager.id}


def test_a_test_may_go_to_another_phone(draft: Mailing, manager: User) -> None:
    assert send_test(draft, manager, manager, phone="+79980000066").phone == "+79980000066"


def test_tests_may_be_repeated_and_count_in_no_mailing(draft: Mailing, manager: User) -> None:
    for _ in range(3):
        send_test(draft, manager, manager)
    tests = Mailing.objects.get(kind=Mailing.Kind.TEST)
    assert mailing_factories.statuses(tests) == {"waiting": 3}
    mailing_factories.assert_counters_equal_rows(tests)
    draft.refresh_from_db()
    assert draft.state == Mailing.State.DRAFT
    assert not Message.objects.filter(mailing=draft).exists()


def test_the_mailing_of_tests_never_ends(draft: Mailing, manager: User) -> None:
    send_test(draft, manager, manager)
    mailing_factories.reported(mailing_factories.sent(), "delivered")
    mailing_factories.settle()
    tests = Mailing.objects.get(kind=Mailing.Kind.TEST)
    assert tests.state == Mailing.State.SENDING
    send_test(draft, manager, manager)
    mailing_factories.sent()


def test_what_was_not_sent_goes_again(draft: Mailing, manager: User) -> None:
    send_test(draft, manager, manager)
    mailing_factories.sent(Outcome.UNSENT)
    Account.objects.update(failures=0, cooldown_until=None)
    assert len(mailing_factories.sent().messages) == 1


def no_service(manager: User) -> None:
    accounts.disconnect(Account.objects.get(), None)


def no_phone(manager: User) -> None:
    manager.phone = ""


def forbidden(manager: User) -> None:
    consent.forbid(manager, None)


def opted_out(manager: User) -> None:
    consent.opt_out(PHONE, OptOut.Source.PERSON)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (no_service, "No SMS service"),
        (no_phone, "has no phone"),
        (forbidden, "forbidden"),
        (opted_out, "forbidden"),
    ],
)
def test_nothing_goes_where_nothing_may(
    draft: Mailing, manager: User, spoil: object, words: str
) -> None:
    assert callable(spoil)
    spoil(manager)
    with pytest.raises(NotSent, match=words):
        send_test(draft, manager, manager)
    assert not Message.objects.exists()
    assert not AuditEvent.objects.filter(what="test_sent").exists()


def test_another_phone_of_a_person_who_gets_nothing_gets_nothing_either(
    draft: Mailing, manager: User
) -> None:
    consent.forbid(manager, None)
    with pytest.raises(NotSent):
        send_test(draft, manager, manager, phone="+79980000066")


@pytest.mark.parametrize("text", ["", "  ", "{first_nam}", "{"])
def test_a_text_that_cannot_go_is_refused(draft: Mailing, manager: User, text: str) -> None:
    draft.text = text
    with pytest.raises(NotSent):
        send_test(draft, manager, manager)


def test_who_refuses_after_it_was_written_gets_nothing(draft: Mailing, manager: User) -> None:
    message = send_test(draft, manager, manager)
    consent.forbid(manager, None)
    assert mailing_factories.claimed().messages == ()
    message.refresh_from_db()
    assert (message.status, message.reason) == ("skipped", "forbidden")


def test_one_event_is_one_message(draft: Mailing, manager: User) -> None:
    tests = send.tests()
    send_one(tests, manager, key="event:1", phone=PHONE, body="Code")
    with pytest.raises(IntegrityError), transaction.atomic():
        send_one(tests, manager, key="event:1", phone=PHONE, body="Code")
    assert Message.objects.count() == 1
    assert tests.batches.count() == 1
    mailing_factories.assert_counters_equal_rows(tests)


def test_a_paused_mailing_does_not_hold_up_tests(draft: Mailing, manager: User) -> None:
    running = mailing_factories.prepared(manager)
    transitions.pause(running, manager)
    send_test(draft, manager, manager)
    assert len(mailing_factories.claimed().messages) == 1


def test_the_mailing_of_tests_and_its_counters_come_together(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two, no test could ever be sent again."""
    with monkeypatch.context() as broken:
        broken.setattr(Counters.objects, "create", lambda **_fields: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            send.tests()
    assert Counters.objects.filter(mailing=send.tests()).exists()


@pytest.mark.django_db(transaction=True)
def test_two_first_tests_at_the_same_moment_find_the_same_mailing() -> None:
    factories.simulator()
    manager = factories.manager(phone=PHONE)
    draft = mailing_factories.draft()
    both = threading.Barrier(2, timeout=20)
    errors: list[Exception] = []

    def click() -> None:
        try:
            connection.ensure_connection()
            both.wait()
            send_test(draft, manager, manager)
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    tests = Mailing.objects.get(kind=Mailing.Kind.TEST)
    assert mailing_factories.statuses(tests) == {"waiting": 2}
    mailing_factories.assert_counters_equal_rows(tests)
