"""Notifications: an event raised for a person becomes one message, once, or a row that says why not."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import translation

from integrations.models import Account
from integrations.providers.contract import Outcome
from integrations.reasons import Reason
from integrations.routing import accounts
from mailings.audience import personalization
from mailings.composing import variable_uses
from mailings.errors import WrongState
from mailings.lifecycle import transitions
from mailings.models import Batch, Counters, Mailing, Message
from mailings.notifications import editing, registry, send
from mailings.notifications.send import Became, raise_event
from mailings.reports import recount
from mailings.sending import claim, reconciliation, record
from mailings.text import sealed, template
from tests import factories
from tests.mailings import mailing_factories
from users.consent import consent
from users.consent.confirmation import code_of
from users.models import AuditEvent, OptOut, OwnField, User
from users.people import person_created

NONCE = "0123456789abcdef"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> Iterator[None]:
    settings.LANGUAGE_CODE = "en"
    with translation.override("en"):
        yield


@pytest.fixture
def account(db: None) -> Account:
    return factories.simulator()


@pytest.fixture
def paid(account: Account, manager: User) -> Mailing:
    return event("paid", manager)


def event(name: str, by: User, *, on: bool = True, **fields: Any) -> Mailing:
    fields = {"name": "Paid", "text": "{first_name}, order {number} is paid"} | fields
    made = Mailing(event=name, **{"event_values": ["number"]} | fields)
    editing.add(made, by)
    editing.switch(made, by, on=on)
    return made


# --- raising ------------------------------------------------------------------------------------
def test_an_event_is_one_message_with_the_persons_values_and_its_own(
    paid: Mailing, student: User
) -> None:
    raised = raise_event("paid", student, key="order:15", values={"number": "15", "other": "x"})
    assert raised.became == Became.SENT
    assert raised.message is not None
    assert (raised.message.text, raised.message.phone) == ("Ivan, order 15 is paid", student.phone)
    assert (raised.message.status, raised.message.parts) == ("waiting", 1)
    assert raised.reason is None
    batch = mailing_factories.sent(Outcome.TAKEN)
    assert [sms.key for sms in batch.messages] == [raised.message.id]
    mailing_factories.assert_counters_equal_rows(paid)


def test_raised_again_with_the_same_key_it_sends_nothing_and_says_so(
    paid: Mailing, student: User
) -> None:
    first = raise_event("paid", student, key="order:15")
    again = raise_event("paid", student, key="order:15")
    other = raise_event("paid", student, key="order:16")
    assert (again.became, again.message) == (Became.REPEATED, first.message)
    assert other.became == Became.SENT
    assert mailing_factories.statuses(paid) == {"waiting": 2}
    assert paid.batches.count() == 2
    mailing_factories.assert_counters_equal_rows(paid)


@pytest.mark.parametrize("key", ["k" * 500, "two\nlines", "\0", "", "заказ"])
def test_a_key_may_be_anything(paid: Mailing, student: User, key: str) -> None:
    assert raise_event("paid", student, key=key).became == Became.SENT
    assert raise_event("paid", student, key=key).became == Became.REPEATED


@pytest.mark.django_db(transaction=True)
def test_raised_twice_at_the_same_moment_it_is_one_message() -> None:
    factories.simulator()
    student = factories.student()
    paid = event("paid", factories.manager())
    both = threading.Barrier(2, timeout=20)
    became: list[str] = []

    def raise_it() -> None:
        try:
            connection.ensure_connection()
            both.wait()
            with transaction.atomic():
                became.append(raise_event("paid", student, key="order:15").became)
        finally:
            connection.close()

    for _ in range(5):
        threads = [threading.Thread(target=raise_it) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(became) == [Became.REPEATED, Became.SENT]
        assert mailing_factories.statuses(paid) == {"waiting": 1}
        assert paid.batches.count() == 1
        mailing_factories.assert_counters_equal_rows(paid)
        Message.objects.all().delete()
        Batch.objects.all().delete()
        recount.repair(paid.pk)
        became.clear()


def test_an_event_undone_by_its_caller_leaves_no_message(paid: Mailing, student: User) -> None:
    with transaction.atomic():
        assert raise_event("paid", student, key="order:15").became == Became.SENT
        transaction.set_rollback(True)
    assert not Message.objects.exists()
    mailing_factories.assert_counters_equal_rows(paid)


def no_phone(student: User) -> None:
    User.objects.filter(pk=student.pk).update(phone="")
    student.refresh_from_db()


def forbidden(student: User) -> None:
    consent.forbid(User.objects.get(pk=student.pk), None)  # behind the back of whoever raises it


def opted_out(student: User) -> None:
    consent.opt_out(student.phone, OptOut.Source.REPLY)


def no_service(student: User) -> None:
    accounts.disconnect(Account.objects.get(), None)


def nothing_to_say(student: User) -> None:
    Mailing.objects.filter(event="paid").update(text="{number} ")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_phone, Reason.NO_PHONE),
        (forbidden, Reason.FORBIDDEN),
        (opted_out, Reason.OPTED_OUT),
        (no_service, Reason.NO_SERVICE),
        (nothing_to_say, Reason.EMPTY_TEXT),
    ],
)
def test_who_gets_none_has_a_row_that_says_why(
    paid: Mailing, student: User, spoil: Callable[[User], None], reason: Reason
) -> None:
    spoil(student)
    raised = raise_event("paid", student, key="order:15")
    assert (raised.became, raised.reason) == (Became.LEFT_OUT, reason)
    assert str(reason.about.title) in raised.words
    message = Message.objects.get()
    assert (message.status, message.text, message.batch) == ("skipped", "", None)
    assert message.final_at
    assert not Batch.objects.exists()
    mailing_factories.assert_counters_equal_rows(paid)
    assert raise_event("paid", student, key="order:15").became == Became.REPEATED


def test_who_is_forbidden_after_it_was_written_gets_none(paid: Mailing, student: User) -> None:
    raised = raise_event("paid", student, key="order:15")
    consent.forbid(student, None)
    assert mailing_factories.claimed().messages == ()
    assert raised.message is not None
    raised.message.refresh_from_db()
    assert (raised.message.status, raised.message.reason) == ("skipped", "forbidden")


def test_one_that_is_off_or_does_not_exist_leaves_nothing(
    paid: Mailing, student: User, manager: User
) -> None:
    editing.switch(paid, manager, on=False)
    assert raise_event("paid", student, key="1").became == Became.OFF
    assert raise_event("no_such", student, key="1").became == Became.NO_EVENT
    assert not Message.objects.exists()


def test_a_text_names_a_field_deleted_since_and_still_goes(
    account: Account, manager: User, student: User
) -> None:
    field = OwnField.objects.create(slug="course", label="Course")
    made = event("paid", manager, text="Paid: {course}{number}")
    assert variable_uses.drafts_with("course") == [made.name]
    field.delete()
    raised = raise_event("paid", student, key="1", values={"number": "5"})
    assert raised.message is not None
    assert raised.message.text == "Paid: 5"


def test_what_is_written_keeps_its_text(paid: Mailing, student: User) -> None:
    raise_event("paid", student, key="1", values={"number": "1"})
    Mailing.objects.filter(pk=paid.pk).update(text="Other words")
    raise_event("paid", student, key="2")
    assert [each.text for each in Message.objects.order_by("id")] == [
        "Ivan, order 1 is paid",
        "Other words",
    ]


# --- on and off ---------------------------------------------------------------------------------
def test_switching_off_stops_what_has_not_gone(paid: Mailing, student: User, manager: User) -> None:
    raise_event("paid", student, key="1")
    batch = mailing_factories.claimed()
    raise_event("paid", student, key="2")
    editing.switch(paid, manager, on=False)
    assert claim.claim() is None
    mailing_factories.settle()
    record.record(batch, mailing_factories.results(batch, Outcome.TAKEN))
    assert mailing_factories.statuses(paid) == {"accepted": 1, "cancelled": 1}
    mailing_factories.assert_counters_equal_rows(paid)
    editing.switch(paid, manager, on=True)
    assert claim.claim() is None, "hours later nobody wants the code of this morning"


def test_it_is_never_done(paid: Mailing, student: User) -> None:
    raise_event("paid", student, key="1")
    mailing_factories.reported(mailing_factories.sent(), "delivered")
    mailing_factories.settle()
    paid.refresh_from_db()
    assert paid.state == Mailing.State.SENDING
    raise_event("paid", student, key="2")
    mailing_factories.sent()
    assert recount.compare() == []


def test_each_switch_is_written_down_once(paid: Mailing, manager: User) -> None:
    AuditEvent.objects.all().delete()
    for on in (True, False, False, True):
        editing.switch(paid, manager, on=on)
    book = AuditEvent.objects.order_by("id").values_list("what", "target")
    target = f"mailing {paid.pk}"
    assert list(book) == [("switched_off", target), ("switched_on", target)]


def test_refusals_of_its_text_do_not_halt_it(paid: Mailing, student: User) -> None:
    for number in range(3):
        raise_event("paid", student, key=str(number))
        mailing_factories.sent(Outcome.REFUSED, reason=Reason.TEXT_FORBIDDEN)
    paid.refresh_from_db()
    assert registry.is_on(paid)


# --- the built-in ones --------------------------------------------------------------------------
def test_the_built_in_ones_are_there_with_texts_in_the_language_of_the_account(
    settings: Any, account: Account, student: User
) -> None:
    settings.LANGUAGE_CODE = "ru"
    by_event = {each.event: each for each in registry.every()}
    assert set(by_event) == {registry.PHONE_CODE, registry.WELCOME}
    assert registry.is_on(by_event[registry.PHONE_CODE])
    assert not registry.is_on(by_event[registry.WELCOME])
    assert len(registry.every()) == 2
    for each in by_event.values():
        body = template.render(
            personalization.parsed(each.text, each.wrapping, each.event_values), {"code": "123456"}
        )
        assert template.parts_of(body) == 1
        assert Counters.objects.filter(mailing=each).exists()


def test_a_person_written_down_is_welcomed_once_if_it_is_on(
    account: Account, student: User, manager: User
) -> None:
    person_created.arrived(student)
    assert not Message.objects.exists()
    welcome = registry.named(registry.WELCOME)
    assert welcome is not None
    editing.switch(welcome, manager, on=True)
    person_created.arrived(student)
    person_created.arrived(student)
    message = Message.objects.get()
    assert message.mailing == welcome
    assert message.text.startswith("Welcome, Ivan!")


@pytest.mark.django_db(transaction=True)
def test_two_who_are_first_find_the_same_built_in_one() -> None:
    both = threading.Barrier(2, timeout=20)
    found: list[Mailing | None] = []

    def ask() -> None:
        try:
            connection.ensure_connection()
            both.wait()
            found.append(registry.named(registry.PHONE_CODE))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 2
    assert found[0] == found[1]
    assert Counters.objects.filter(mailing=found[0]).exists()


def test_only_an_own_one_that_is_off_and_unused_is_deleted(
    paid: Mailing, student: User, manager: User
) -> None:
    with pytest.raises(WrongState, match="Switch it off first"):
        editing.delete(paid, manager)
    editing.switch(paid, manager, on=False)
    built_in = registry.named(registry.WELCOME)
    assert built_in is not None
    with pytest.raises(WrongState, match="belongs to the system"):
        editing.delete(built_in, manager)
    used = event("used", manager)
    raise_event("used", student, key="1")
    editing.switch(used, manager, on=False)
    with pytest.raises(WrongState, match="has sent messages"):
        editing.delete(used, manager)
    editing.delete(paid, manager)
    assert not Mailing.objects.filter(event="paid").exists()


# --- codes --------------------------------------------------------------------------------------
def test_a_code_is_nowhere_but_in_what_leaves(
    account: Account, student: User, caplog: pytest.LogCaptureFixture
) -> None:
    assert send.send_code(student, NONCE) == ""
    code = code_of(NONCE)
    message = Message.objects.get()
    assert code not in message.text
    assert sealed.hidden(message.text) == "Your code: ••••••. Do not tell it to anybody."
    assert message.parts == template.parts_of(f"Your code: {code}. Do not tell it to anybody.")
    (sms,) = mailing_factories.claimed().messages
    assert sms.text == f"Your code: {code}. Do not tell it to anybody."
    assert code not in caplog.text
    assert all(code not in str(each.details) for each in AuditEvent.objects.all())


def test_a_code_has_a_lifetime_and_other_notifications_have_none(
    paid: Mailing, student: User
) -> None:
    send.send_code(student, NONCE)
    batch = Batch.objects.get()
    assert batch.expires_at == batch.not_before + timedelta(minutes=10)
    raise_event("paid", student, key="1")
    assert Batch.objects.filter(expires_at=None).count() == 1


def test_a_code_of_unknown_fate_is_asked_about_and_sent_again_as_it_was(
    account: Account, student: User
) -> None:
    """Whoever died with it took nothing along: it is worked out anew."""
    send.send_code(student, NONCE)
    batch = mailing_factories.sent(Outcome.UNKNOWN)
    batch_row = Batch.objects.get(id=batch.batch_id)
    (asked,) = reconciliation._open_messages(batch_row)
    assert asked.text == batch.messages[0].text
    with transaction.atomic():
        record.send_again(batch_row, [batch.messages[0].key])
    Account.objects.update(failures=0, cooldown_until=None)
    again = mailing_factories.claimed()
    assert again.messages[0].text == batch.messages[0].text
    assert Batch.objects.get(id=again.batch_id).expires_at == batch_row.expires_at


def test_a_code_that_waited_longer_than_it_holds_is_not_sent(
    account: Account, student: User
) -> None:
    """The service was down, say."""
    with time_machine.travel(NOON, tick=False) as clock:
        send.send_code(student, NONCE)
        clock.shift(timedelta(minutes=10))
        assert mailing_factories.claimed().messages == ()
    message = Message.objects.get()
    assert (message.status, message.reason) == ("skipped", Reason.TOO_LATE)
    mailing_factories.assert_counters_equal_rows(message.mailing)


def test_a_notification_leaves_in_quiet_hours_and_through_the_cap(
    paid: Mailing, student: User
) -> None:
    mailing_factories.policy(
        id=1, quiet_from=time(0), quiet_until=time(23, 59), cap_messages=1, countdown=60
    )
    with time_machine.travel(NOON, tick=False):
        for key in ("1", "2"):
            assert raise_event("paid", student, key=key).became == Became.SENT
            assert len(mailing_factories.claimed().messages) == 1


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(forbidden, "forbidden"), (opted_out, "switched off"), (no_service, "cannot be sent")],
)
def test_a_code_that_is_not_sent_says_why(
    account: Account, student: User, spoil: Callable[[User], None], words: str
) -> None:
    spoil(student)
    assert words in send.send_code(student, NONCE)


def test_no_code_is_offered_where_none_can_be_sent(account: Account, manager: User) -> None:
    assert send.can_send_codes()
    code = registry.named(registry.PHONE_CODE)
    assert code is not None
    editing.switch(code, manager, on=False)
    assert not send.can_send_codes()
    editing.switch(code, manager, on=True)
    accounts.disconnect(account, None)
    assert not send.can_send_codes()


# --- a try --------------------------------------------------------------------------------------
def test_a_try_goes_to_the_person_and_counts_nowhere(
    paid: Mailing, student: User, manager: User
) -> None:
    editing.switch(paid, manager, on=False)
    message = send.try_event(paid, student, manager, {"number": "15"})
    assert (message.text, message.mailing.kind) == ("Ivan, order 15 is paid", Mailing.Kind.TEST)
    assert not Message.objects.filter(mailing=paid).exists()
    consent.forbid(student, None)
    with pytest.raises(send.NotSent, match="forbidden"):
        send.try_event(paid, student, manager)


# --- raised by another program --------------------------------------------------------------------
def test_another_program_raises_it_by_name(
    paid: Mailing, student: User, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("sent", "repeated"):
        call_command("raise_event", "paid", "Ivan@example.com", "number=15=3", key="order:15")
        assert capsys.readouterr().out.startswith(f"{word}: ")
    assert Message.objects.get().text == "Ivan, order 15=3 is paid"
    for _ in range(2):  # without a key, each is one more
        call_command("raise_event", "paid", "ivan@example.com")
    assert Message.objects.count() == 3
    capsys.readouterr()
    consent.forbid(student, None)
    call_command("raise_event", "paid", "ivan@example.com")
    assert capsys.readouterr().out.startswith("forbidden: ")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("paid", "nobody@example.com"), "nobody"),
        (("no_such", "ivan@example.com"), "no event"),
        (("paid", "ivan@example.com", "number"), "name=value"),
        (("phone_code", "ivan@example.com"), "only the system itself"),
    ],
)
def test_another_program_is_told_what_it_did_wrong(
    paid: Mailing, student: User, words: tuple[str, ...], error: str
) -> None:
    with pytest.raises(CommandError, match=error):
        call_command("raise_event", *words)
    assert not Message.objects.exists()


def test_a_mailing_that_is_cancelled_stays_apart(
    paid: Mailing, manager: User, student: User
) -> None:
    """Both are "cancelled" in the database; only one of them can be resumed."""
    editing.switch(paid, manager, on=False)
    with pytest.raises(WrongState):
        transitions.resume(paid, manager)
