"""What the services' books tell after a copy was put back, and what the owner decides then."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.models import Account, Receipt
from integrations.providers.contract import (
    Booked,
    BooksPage,
    DeliveryReport,
    DeliveryStatus,
    Outcome,
    ProviderError,
    Sms,
)
from integrations.providers.smsc.service import Smsc
from integrations.providers.twilio.service import Twilio
from integrations.reasons import Reason
from mailings.lifecycle import recall
from mailings.models import Batch, BooksSweep, Epoch, Mailing, Message, Restoration, UnclaimedSms
from mailings.notifications import send
from mailings.restoration import books as restoration
from mailings.restoration import decision
from mailings.sending import claim, epoch, prepare, receipts, record
from mailings.text import fingerprints, markers
from mailings.text.sealed import opened
from smsmail.models import SetAside
from tests import factories
from tests.emulators.smsc import SmscEmulator
from tests.emulators.twilio import TwilioEmulator
from tests.mailings import mailing_factories
from users.consent import consent
from users.models import AuditEvent, User

pytestmark = pytest.mark.django_db
As = Callable[[User], Client]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Books that do not lag."""
    for provider in (Smsc, Twilio):
        monkeypatch.setattr(provider, "settle_seconds", 0)


@pytest.fixture(autouse=True)
def english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


class Books:
    """What a service shows, the newest first, in pages of three."""

    def __init__(self) -> None:
        self.rows: list[Booked] = []
        self.asked: list[str] = []
        self.trouble: Exception | None = None

    def add(
        self,
        phone: str,
        text: str,
        reference: str = "",
        provider_id: str = "",
        status: DeliveryStatus = DeliveryStatus.DELIVERED,
        at: datetime | None = None,
    ) -> None:
        report = DeliveryReport(reference, phone, status, provider_id=provider_id)
        self.rows.insert(0, Booked(report, text, at or timezone.now()))

    def page(self, since: object, cursor: str = "") -> BooksPage:
        self.asked.append(cursor)
        if self.trouble is not None:
            raise self.trouble
        start = int(cursor or 0)
        some = tuple(self.rows[start : start + 3])
        return BooksPage(some, str(start + 3) if start + 3 < len(self.rows) else "")


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    shown = Books()
    for provider in (Smsc, Twilio):
        monkeypatch.setattr(provider, "sent_since", shown.page)
    return shown


@pytest.fixture
def mailing(owner: User) -> Mailing:
    """To ten students through SMSC: in two batches of five, waiting."""
    factories.students(10)
    factories.smsc(per_second=20)  # a quarter of a second's worth in each
    return mailing_factories.prepared(owner)


def held() -> Restoration:
    epoch.hold(Restoration.Why.SAID)
    return Restoration.objects.get(decided_at__isnull=True)


def ask() -> Restoration:
    while restoration.ask_due():
        pass
    return Restoration.objects.get(decided_at__isnull=True)


def decided(by: User, spec: str = "go") -> None:
    open_ = Restoration.objects.get(decided_at__isnull=True)
    lines = decision.under_way(open_)
    choices = {line.mailing.pk: spec if spec in line.choices else line.choices[0] for line in lines}
    decision.decide(open_, choices, by)


def all_taken() -> set[str]:
    """Whatever waits is submitted and taken, as fast as the test likes. The phones."""
    phones: set[str] = set()
    while (batch := claim.claim()) is not None:
        phones |= {each.phone for each in batch.messages}
        record.record(batch, mailing_factories.results(batch, Outcome.TAKEN))
        Account.objects.update(next_free_at=None)
    return phones


def as_sent(message: Message) -> str:
    return markers.filled(opened(message.text), message.pk)


def reference_of(message: Message) -> str:
    assert message.batch is not None
    return message.batch.reference


# --- what the books tell ----------------------------------------------------------------------
def test_a_batch_that_waits_here_and_has_left_is_entered_as_sent(
    mailing: Mailing, books: Books
) -> None:
    batch = mailing.batches.order_by("id")[0]
    messages = list(batch.messages.order_by("id"))
    for each in messages[:4]:
        books.add(each.phone, as_sent(each), batch.reference)
    held()
    ask()
    assert mailing_factories.statuses(mailing) == {"delivered": 4, "waiting": 6, "skipped": 1}
    batch.refresh_from_db()
    assert batch.account is not None
    assert batch.state != Batch.State.WAITING
    # The fifth the books do not show: it goes under another reference.
    messages[4].refresh_from_db()
    assert messages[4].batch_id != batch.pk
    sweep = BooksSweep.objects.get()
    assert (sweep.rows, sweep.known, sweep.entered) == (4, 4, 4)
    mailing_factories.assert_counters_equal_rows(mailing)


@pytest.mark.parametrize("known", ["by reference", "by phone and text", "only afterwards"])
def test_a_link_that_signs_in_lasts_from_when_it_was_sent(
    owner: User, books: Books, known: str
) -> None:
    """Not from when the copy was told of it: a link of three days would have lived for six."""
    factories.students(1)
    factories.smsc()
    text = "See https://school.example/lesson"
    fields = {"text": text, "links_sign_in": True, "wrap_links": True, "sign_in_days": 3}
    sent = timezone.now() - timedelta(days=4)
    if known == "only afterwards":
        mailing = mailing_factories.launched(owner, **fields)
        books.add("+79980000000", "", "", "1", at=sent)
    else:
        mailing = mailing_factories.prepared(owner, **fields)
        message = mailing.messages.get(status="waiting")
        reference = reference_of(message) if known == "by reference" else ""
        books.add(message.phone, as_sent(message), reference, "1", at=sent)
    held()
    ask()
    decided(owner)
    if known == "only afterwards":
        while prepare.prepare_due():
            pass
    message = mailing.messages.get(phone="+79980000000")
    assert (message.status, message.submitted_at) == ("delivered", sent)


def test_a_refusal_in_the_copy_holds_after_the_decision(
    owner: User, mailing: Mailing, books: Books
) -> None:
    """And so does one of the time between the copy's start and the owner's word."""
    held()
    ask()
    who = User.objects.get(phone="+79980000003")
    consent.forbid(who, owner)
    decided(owner)
    assert who.phone not in all_taken()
    assert mailing.messages.get(phone=who.phone).status == "skipped"
    assert mailing_factories.statuses(mailing) == {"accepted": 9, "skipped": 2}


def test_what_was_set_aside_in_the_copy_is_tried_again_and_keeps_nothing_from_the_decision(
    owner: User, mailing: Mailing, books: Books
) -> None:
    """The copy is a day old, and so are the moments that it names."""
    yesterday = timezone.now() - timedelta(days=1)
    first = mailing.batches.order_by("id")[0]
    for job, kind, item in [("recover", "batch", first.pk), ("prepare", "mailing", mailing.pk)]:
        SetAside.objects.create(
            job=job,
            kind=kind,
            item_id=item,
            about=f"mailing {mailing.pk}",
            error="ValueError",
            first_at=yesterday,
            next_try_at=yesterday,
        )
    assert not SetAside.objects.current().exists()
    for each in mailing.messages.filter(status="waiting").order_by("id")[:5]:
        books.add(each.phone, as_sent(each), reference_of(each))
    held()
    ask()
    decided(owner)
    all_taken()
    counted = mailing_factories.statuses(mailing)
    assert counted == {"delivered": 5, "accepted": 5, "skipped": 1}


def test_what_went_again_under_another_reference_is_found_by_phone_and_text(
    mailing: Mailing, books: Books
) -> None:
    """Unknown when the copy was made, then never had, then sent under another reference."""
    batch = mailing_factories.sent(Outcome.UNKNOWN)
    messages = list(Message.objects.filter(batch=batch.batch_id).order_by("id"))
    other = Batch.new_reference()
    for each in messages:
        books.add(each.phone, as_sent(each), other)
    held()
    ask()
    assert mailing_factories.statuses(mailing) == {"delivered": 5, "waiting": 5, "skipped": 1}
    delivered = mailing.messages.filter(status="delivered")
    assert set(delivered.values_list("batch__reference", flat=True)) == {other}
    mailing_factories.assert_counters_equal_rows(mailing)


def test_nobody_else_is_taken_for_it(mailing: Mailing, books: Books) -> None:
    """Another text, another program's message through the same login, one that was taken back."""
    message = mailing.messages.filter(status="waiting").order_by("id")[0]
    text = as_sent(message)
    books.add(message.phone, "Your code is 1234", Batch.new_reference())
    books.add(message.phone, text, "crm-77")
    books.add(message.phone, text, "")
    books.add(message.phone, text, Batch.new_reference(), status=DeliveryStatus.CANCELLED)
    held()
    ask()
    assert mailing_factories.statuses(mailing) == {"waiting": 10, "skipped": 1}
    assert UnclaimedSms.objects.count() == 1


def test_one_message_in_the_books_stands_for_one_of_ours(owner: User, books: Books) -> None:
    """The same text to the same phone in two mailings: one of them has gone."""
    factories.students(1)
    factories.smsc()
    first, second = mailing_factories.prepared(owner), mailing_factories.prepared(owner)
    message = first.messages.get(status="waiting")
    books.add(message.phone, as_sent(message), Batch.new_reference())
    held()
    ask()
    both = [mailing_factories.statuses(first), mailing_factories.statuses(second)]
    assert sum(each.get("waiting", 0) for each in both) == 1
    assert sum(each.get("delivered", 0) for each in both) == 1


def test_books_read_twice_change_nothing_more(mailing: Mailing, books: Books, owner: User) -> None:
    for each in mailing.messages.filter(status="waiting").order_by("id")[:7]:
        books.add(each.phone, as_sent(each), Batch.new_reference())
    books.add("+79980005555", "Of nobody here", Batch.new_reference())
    held()
    decision.ask_again(ask(), owner)
    ask()
    assert mailing_factories.statuses(mailing) == {"delivered": 7, "waiting": 3, "skipped": 1}
    assert UnclaimedSms.objects.count() == 1
    assert Batch.objects.filter(size=0).count() == 0
    mailing_factories.assert_counters_equal_rows(mailing)


def test_it_goes_on_where_it_stopped(mailing: Mailing, books: Books, settings: Any) -> None:
    settings.LOOK_UP_PAUSE = 0
    for each in mailing.messages.filter(status="waiting").order_by("id"):
        books.add(each.phone, as_sent(each), reference_of(each))
    held()
    [sweep] = restoration.sweeps_of(Restoration.objects.get())
    assert restoration._read_page(sweep)
    books.trouble = ProviderError(Reason.UNAVAILABLE)
    restoration.ask_due()
    open_ = Restoration.objects.get()
    assert open_.asked_at is None
    assert BooksSweep.objects.get().trouble == Reason.UNAVAILABLE
    books.trouble = None
    ask()
    assert books.asked == ["", "3", "3", "6", "9"]
    assert mailing_factories.statuses(mailing) == {"delivered": 10, "skipped": 1}


def test_a_provider_that_stumbles_is_asked_again(mailing: Mailing, books: Books) -> None:
    books.trouble = KeyError("sms")
    held()
    restoration.ask_due()
    assert BooksSweep.objects.get().trouble == Reason.OTHER
    assert Restoration.objects.get().asked_at is None


def test_twilio_shows_no_reference_and_is_matched_by_its_id_phone_and_text(
    owner: User, books: Books
) -> None:
    factories.students(4)
    factories.twilio()
    mailing = mailing_factories.prepared(
        owner, wrap_links=True, text="{first_name}: https://school.ru/a"
    )
    first, second, third, _fourth = mailing.messages.filter(status="waiting").order_by("id")
    Message.objects.filter(pk=first.pk).update(status="accepted", provider_id="SM1")
    mailing.counters.accepted, mailing.counters.waiting = 1, 3
    mailing.counters.parts = first.parts
    mailing.counters.save()
    books.add(first.phone, as_sent(first), provider_id="SM1")
    books.add(second.phone, as_sent(second), provider_id="SM2")
    books.add(third.phone, "", provider_id="SM3")  # texts may be deleted from its books
    held()
    ask()
    assert mailing_factories.statuses(mailing) == {"delivered": 3, "waiting": 1, "skipped": 1}
    second.refresh_from_db()
    assert second.provider_id == "SM2"
    mailing_factories.assert_counters_equal_rows(mailing)


# --- people who were not prepared yet ---------------------------------------------------------
def test_who_is_prepared_later_and_has_got_it_is_entered_as_served(
    owner: User, books: Books
) -> None:
    """The tokens of their links were of other messages; a link is compared as a link."""
    students = factories.students(6)
    factories.smsc()
    mailing = mailing_factories.launched(
        owner, wrap_links=True, text="{first_name}: https://school.ru/a"
    )
    reference = Batch.new_reference()
    for number, each in enumerate(students[:4]):
        token = f"{number:06}0abcde"
        books.add(each.phone, f"{each.first_name}: http://127.0.0.1:8000/r/{token}", reference)
    held()
    ask()
    assert UnclaimedSms.objects.count() == 4
    decided(owner)
    while prepare.prepare_due():
        pass
    assert mailing_factories.statuses(mailing) == {"delivered": 4, "waiting": 2, "skipped": 1}
    assert mailing.batches.get(reference=reference).state == Batch.State.ANSWERED
    assert UnclaimedSms.objects.filter(claimed_at=None).count() == 0
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_draft_that_was_launched_after_the_copy_reaches_nobody_twice(
    owner: User, books: Books
) -> None:
    students = factories.students(3)
    factories.smsc()
    draft = mailing_factories.draft()
    for each in students[:2]:
        books.add(each.phone, f"Webinar at six, {each.first_name}", Batch.new_reference())
    held()
    ask()
    decided(owner)
    from mailings.lifecycle import transitions

    transitions.launch(draft, owner)
    while prepare.prepare_due():
        pass
    assert mailing_factories.statuses(draft) == {"delivered": 2, "waiting": 1, "skipped": 1}
    mailing_factories.assert_counters_equal_rows(draft)


def test_what_is_written_afterwards_is_for_everybody(owner: User, books: Books) -> None:
    """The same text once more, a week later: nobody is passed over for what was sent before."""
    [student] = factories.students(1)
    factories.smsc()
    books.add(student.phone, "Webinar at six, Student0", Batch.new_reference())
    held()
    ask()
    decided(owner)
    later = mailing_factories.prepared(owner)
    assert mailing_factories.statuses(later) == {"waiting": 1, "skipped": 1}


# --- the owner's word -------------------------------------------------------------------------
def test_it_is_decided_for_each_mailing_and_written_down(
    mailing: Mailing, books: Books, owner: User
) -> None:
    other = mailing_factories.prepared(owner, name="Another", text="Another text, {first_name}")
    third = mailing_factories.prepared(owner, name="Third", text="A third text, {first_name}")
    held()
    open_ = ask()
    assert sum(line.left for line in decision.under_way(open_)) == 30
    choices = {mailing.pk: "go", other.pk: "cancel", third.pk: "pause"}
    decision.decide(open_, choices, owner)
    states = dict(Mailing.objects.values_list("name", "state"))
    assert states == {"Webinar": "sending", "Another": "cancelled", "Third": "paused"}
    assert not epoch.is_held()
    assert mailing_factories.claimed().mailing_id == mailing.pk
    words = AuditEvent.objects.filter(by=owner).values_list("what", "target")
    assert {
        ("restored_go", f"mailing {mailing.pk}"),
        ("restored_cancel", f"mailing {other.pk}"),
        ("restored_pause", f"mailing {third.pk}"),
        ("restored_copy_decided", "account"),
    } <= set(words)


def test_a_notification_that_waits_is_stopped_without_being_switched_off(
    owner: User, student: User, books: Books
) -> None:
    factories.smsc()
    send.send_one(send.tests(), student, key="a", phone=student.phone, body="A")
    held()
    ask()
    decided(owner, "cancel")
    tests = send.tests()
    assert tests.state == Mailing.State.SENDING
    assert mailing_factories.statuses(tests) == {"cancelled": 1}
    mailing_factories.assert_counters_equal_rows(tests)


def test_nothing_can_be_decided_before_the_services_have_told(
    mailing: Mailing, books: Books, owner: User
) -> None:
    open_ = held()
    with pytest.raises(decision.NotNow):
        decided(owner)
    with pytest.raises(decision.Undecided):
        decision.decide(open_, {}, owner)
    assert epoch.is_held()


def test_it_is_decided_once(mailing: Mailing, books: Books, owner: User) -> None:
    held()
    open_ = ask()
    decided(owner)
    tick = Epoch.objects.get().tick
    with pytest.raises(decision.NotNow):
        decision.decide(open_, {mailing.pk: "go"}, owner)
    assert Epoch.objects.get().tick == tick


def test_what_a_service_keeps_until_a_time_set_is_decided_after_it(
    owner: User, books: Books
) -> None:
    """SMSC's history may show it only then; until then the rest may be stopped, but not sent."""
    factories.students(3)
    factories.smsc()
    later = timezone.now() + timedelta(hours=1)
    mailing = mailing_factories.launched(owner, starts_at=later, hand_over=Mailing.HandOver.EARLY)
    held()
    [line] = decision.under_way(ask())
    assert line.choices == ("cancel",)
    assert line.told_from is not None
    assert line.told_from >= later
    Mailing.objects.filter(pk=mailing.pk).update(starts_at=timezone.now() - timedelta(minutes=5))
    decision.ask_again(Restoration.objects.get(), owner)
    [line] = decision.under_way(ask())
    assert "go" in line.choices


def test_receipts_that_named_nothing_are_read_again(
    mailing: Mailing, books: Books, owner: User
) -> None:
    account = Account.objects.get()
    message = mailing.messages.filter(status="waiting").order_by("id")[0]
    other = Batch.new_reference()
    books.add(message.phone, as_sent(message), other, status=DeliveryStatus.ACCEPTED)
    Receipt.objects.create(
        account=account, body=f"id={other}&phone={message.phone[1:]}&status=1&err=0"
    )
    Receipt.objects.create(account=account, body="id=nobody&phone=79980000999&status=1&err=0")
    Receipt.objects.create(account=account, body="nonsense=1")
    receipts.process_due()
    assert mailing_factories.receipt_outcomes() == ["stranger", "stranger", "unreadable"]
    held()
    ask()
    decided(owner)
    receipts.process_due()
    message.refresh_from_db()
    assert message.status == "delivered"
    assert sorted(mailing_factories.receipt_outcomes()) == ["applied", "stranger", "unreadable"]


def test_a_service_that_cannot_be_asked_is_named(owner: User, books: Books) -> None:
    factories.students(2)
    factories.seventech()
    mailing_factories.prepared(owner)
    held()
    open_ = ask()
    assert decision.cannot_tell(open_) == ["SevenTech"]
    assert books.asked == []


# --- the pages --------------------------------------------------------------------------------
def test_every_page_says_that_it_is_held(
    as_: As, manager: User, owner: User, mailing: Mailing, books: Books
) -> None:
    held()
    for path in ("/", "/mailings/", f"/mailings/{mailing.pk}/", "/people/", "/notifications/"):
        page = as_(manager).get(path).content.decode()
        assert "nothing is sent" in page, path
        assert "/settings/restored/" not in page, path
    assert "/settings/restored/" in as_(owner).get("/").content.decode()
    live = as_(manager).get(f"/mailings/{mailing.pk}/live/").content.decode()
    assert "until the owner has decided" in live


def test_the_owner_looks_and_decides(as_: As, owner: User, mailing: Mailing, books: Books) -> None:
    for each in mailing.messages.filter(status="waiting").order_by("id")[:3]:
        books.add(each.phone, as_sent(each), reference_of(each))
    held()
    pages = as_(owner)
    page = pages.get("/settings/restored/").content.decode()
    assert "as soon as the services have told" in page
    ask()
    page = pages.get("/settings/restored/").content.decode()
    assert "3 messages read in its books" in page
    assert "7 messages are not sent" in page
    missing = pages.post("/settings/restored/", {"what": "decide"})
    assert missing.status_code == 200
    assert epoch.is_held()
    done = pages.post("/settings/restored/", {"what": "decide", f"mailing_{mailing.pk}": "go"})
    assert done.status_code == 302
    assert not epoch.is_held()


@pytest.mark.parametrize(
    "data",
    [
        {"what": "decide", "mailing_1": "burn"},
        {"what": "waive", "sweep": "x"},
        {"what": "waive", "sweep": "99999999999999999999999"},
        {"what": "waive", "sweep": "²"},
        {"what": "\0"},
        {},
    ],
    ids=str,
)
def test_nonsense_changes_nothing(
    as_: As, owner: User, mailing: Mailing, books: Books, data: dict[str, str]
) -> None:
    held()
    ask()
    assert as_(owner).post("/settings/restored/", data).status_code in {200, 302, 404}
    assert epoch.is_held()


def test_the_owner_waits_no_longer_for_a_service(
    as_: As, owner: User, mailing: Mailing, books: Books
) -> None:
    books.trouble = ProviderError(Reason.BAD_LOGIN)
    held()
    restoration.ask_due()
    sweep = BooksSweep.objects.get()
    page = as_(owner).get("/settings/restored/").content.decode()
    assert "Do not wait for SMSC" in page
    as_(owner).post("/settings/restored/", {"what": "waive", "sweep": str(sweep.pk)})
    ask()
    page = as_(owner).get("/settings/restored/").content.decode()
    assert "SMSC cannot tell what it has sent" in page


def test_the_owner_may_know_of_a_copy_that_nobody_has_found(as_: As, owner: User) -> None:
    assert not epoch.is_held()
    as_(owner).post("/settings/restored/", {"what": "say"})
    assert epoch.is_held()


def test_where_the_file_cannot_be_written_the_pages_say_so(as_: As, manager: User) -> None:
    epoch._no_place()
    assert "STATE_DIR" in as_(manager).get("/").content.decode()


# --- the services' own ways -------------------------------------------------------------------
def test_smsc_shows_all_that_went_page_by_page(
    smsc_emulator: SmscEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from integrations.providers.smsc import history
    from integrations.routing import routing
    from smsmail.uptime import clock

    monkeypatch.setattr(history, "PAGE", 4)
    provider = routing.provider_of(factories.smsc())
    texts = [Sms(n, f"+7998000{n:04}", f"Text {n}") for n in range(10)]
    reference = Batch.new_reference()
    provider.send(reference, texts, clock() + 60)
    rows: list[Booked] = []
    cursor, pages = "", 0
    while True:
        page = provider.sent_since(timezone.now() - timedelta(minutes=5), cursor)
        rows += page.rows
        pages += 1
        cursor = page.cursor
        if not cursor:
            break
    sent = {(reference, sms.phone, sms.text) for sms in texts if not sms.phone.endswith("00")}
    assert {(row.report.reference, row.report.phone, row.text) for row in rows} == sent
    assert pages > 2


def test_twilio_shows_all_that_went_page_by_page(
    twilio_emulator: TwilioEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from integrations.providers.twilio import api
    from integrations.routing import routing
    from smsmail.uptime import clock

    monkeypatch.setattr(api, "PAGE", 4)
    provider = routing.provider_of(factories.twilio())
    texts = [Sms(n, f"+7998000{n:02}10", f"Text {n}") for n in range(10)]
    results = provider.send("made-up", texts, clock() + 60)
    rows: list[Booked] = []
    cursor = ""
    while True:
        page = provider.sent_since(timezone.now() - timedelta(minutes=5), cursor)
        rows += page.rows
        cursor = page.cursor
        if not cursor:
            break
    assert {row.report.provider_id for row in rows} == {each.provider_id for each in results}
    assert {(row.report.phone, row.text) for row in rows} == {
        (sms.phone, sms.text) for sms in texts
    }


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("Lesson at seven – “room 5”", 'Lesson at seven - "room 5"'),
        ("Two\nlines", "Two lines"),
        ("\x1a0 is the link", "http://127.0.0.1:8000/r/AAAAAA0bcdef is the link"),
        ("Ёлка", "Ёлка"),
        ("🎄", "🎄"),
    ],
)
def test_a_text_is_known_however_a_service_writes_it(stored: str, shown: str) -> None:
    assert fingerprints.of_stored(stored) == fingerprints.of_sent(shown)


def test_other_texts_are_others() -> None:
    assert fingerprints.of_stored("🎄") != fingerprints.of_sent("🎁")
    assert fingerprints.of_stored("At 7") != fingerprints.of_sent("At 8")
    assert fingerprints.of_sent("   ") == ""


# --- restored in the middle of something else --------------------------------------------------
def test_a_first_wave_that_waits_still_goes_before_the_others(owner: User, books: Books) -> None:
    factories.students(10)
    factories.smsc(per_second=20)
    mailing = mailing_factories.prepared(owner, first_wave=5)
    first = set(mailing.messages.filter(batch__wave=0).values_list("phone", flat=True))
    assert len(first) == 5
    held()
    assert all_taken() == set()
    ask()
    decided(owner)
    assert all_taken() == first
    assert mailing.messages.filter(batch__wave=1, status="waiting").count() == 5


def test_nothing_is_recalled_while_a_copy_is_undecided(
    mailing: Mailing, books: Books, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def cancel(_self: Smsc, reference: str, _asked: object) -> list[DeliveryReport]:
        asked.append(reference)
        return []

    monkeypatch.setattr(Smsc, "cancel", cancel)
    batch = mailing_factories.claimed()
    record.record(batch, mailing_factories.results(batch, Outcome.TAKEN))
    for each in mailing.messages.filter(batch=batch.batch_id):
        books.add(each.phone, as_sent(each), reference_of(each), status=DeliveryStatus.ACCEPTED)
    Batch.objects.filter(id=batch.batch_id).update(
        send_at=timezone.now() + timedelta(hours=3), recall_at=timezone.now()
    )
    held()
    recall.recall_due()
    assert asked == []
    ask()
    decided(owner)
    recall.recall_due()
    assert asked == [batch.reference]
