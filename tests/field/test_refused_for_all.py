"""What is wrong for everybody refuses nobody: mailings to 300 people as they were measured. Source: the
field's report on the providers, findings T1, T3, T10, T11.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.models import Account
from integrations.providers.contract import Credentials, Outcome, SendResult, Sms
from integrations.providers.seventech.answers import result_of as seventech_result
from integrations.providers.simulator import Simulator
from integrations.providers.smsc.answers import results_of
from integrations.providers.transport import Answer
from integrations.providers.twilio import codes
from integrations.providers.twilio.answers import result_of
from integrations.providers.twilio.service import Twilio
from integrations.reasons import Reason
from integrations.routing import cooldown
from mailings.models import Batch, Mailing, Message
from mailings.sending import claim, record, worker
from smsmail.uptime import clock
from tests import factories
from tests.emulators.seventech import SevenTechEmulator
from tests.emulators.smsc import SmscEmulator
from tests.emulators.twilio import TwilioEmulator
from tests.emulators.twilio_rows import ACCOUNT, SERVICE
from tests.mailings import mailing_factories
from users.models import User

pytestmark = pytest.mark.only_sqlite

UNSENT, REFUSED = Outcome.UNSENT, Outcome.REFUSED
ONE = Sms(1, "+79980001122", "Hello")

# --- a mailing to 300 people, as it was measured ---------------------------------------------
PEOPLE = 300


@pytest.fixture
def the_owner(db: None) -> User:
    return factories.owner()


@pytest.fixture
def through_twilio(twilio_emulator: TwilioEmulator, the_owner: User) -> Mailing:
    factories.twilio()
    # No fate of the emulator: all of them would be delivered.
    factories.students(PEOPLE, digits="77")
    return mailing_factories.prepared(the_owner, text="Webinar at six, {first_name|friend}")


def all_handed_over() -> None:
    """As long as the clock would go on, however the account rests."""
    for _ in range(2 * PEOPLE):
        batch = claim.claim()
        if batch is None:
            return
        record.record(batch, worker.hand_over(batch))


def answers(emulator: Any, name: str) -> None:
    emulator.plan.share, emulator.plan.among = 1, (name,)


WRONG_FOR_ALL = [
    *(21659, 21660, 20422, 30454),
    *(29999, 77777),  # codes of next year
]


@pytest.mark.parametrize("code", WRONG_FOR_ALL)
def test_what_is_wrong_for_everybody_refuses_nobody(
    through_twilio: Mailing, twilio_emulator: TwilioEmulator, code: int
) -> None:
    """T1: 21659 refused 300 of 300, and the account went on."""
    answers(twilio_emulator, f"error-{code}")
    all_handed_over()
    assert mailing_factories.statuses(through_twilio) == {"skipped": 1, "waiting": PEOPLE}
    account = Account.objects.get()
    assert cooldown.is_on(account)
    assert account.cooldown_raw == f"twilio:{code}"
    assert account.rest_about is not None
    mailing_factories.assert_counters_equal_rows(through_twilio)


def test_it_goes_by_itself_once_it_is_mended(
    through_twilio: Mailing, twilio_emulator: TwilioEmulator
) -> None:
    answers(twilio_emulator, "error-29999")
    all_handed_over()
    twilio_emulator.plan.share = 0
    Account.objects.update(cooldown_until=timezone.now() - timedelta(seconds=1))
    all_handed_over()
    assert mailing_factories.statuses(through_twilio) == {"skipped": 1, "accepted": PEOPLE}
    assert not cooldown.is_on(Account.objects.get())


def test_beside_others_that_were_taken_an_unknown_code_is_refused(
    through_twilio: Mailing, twilio_emulator: TwilioEmulator
) -> None:
    twilio_emulator.misbehave("error-29999", "", "error-29999")
    all_handed_over()
    statuses = mailing_factories.statuses(through_twilio)
    assert statuses == {"skipped": 1, "refused": 2, "accepted": PEOPLE - 2}
    row = Message.objects.filter(status="refused").first()
    assert row is not None
    assert (row.reason, row.raw_code) == (Reason.OTHER, "twilio:29999")
    assert not cooldown.is_on(Account.objects.get())


@pytest.mark.parametrize("code", [21408, 21618, 21219, 21211])
def test_what_refuses_everybody_pauses_the_mailing_and_keeps_its_people(
    through_twilio: Mailing, twilio_emulator: TwilioEmulator, code: int
) -> None:
    """A country that is not enabled refused 300 of 300, one after the other."""
    answers(twilio_emulator, f"error-{code}")
    all_handed_over()
    through_twilio.refresh_from_db()
    assert through_twilio.state == Mailing.State.PAUSED
    assert through_twilio.trouble == codes.ERRORS[code][1]
    assert through_twilio.trouble_raw == f"twilio:{code}"
    assert mailing_factories.statuses(through_twilio) == {"skipped": 1, "waiting": PEOPLE}


def test_the_same_with_two_batches_in_flight(
    through_twilio: Mailing, twilio_emulator: TwilioEmulator
) -> None:
    answers(twilio_emulator, "error-21408")
    Account.objects.update(parallel=3)  # the last place is kept for notifications
    flying = [mailing_factories.claimed(), mailing_factories.claimed()]
    for batch, results in [(batch, worker.hand_over(batch)) for batch in flying]:
        record.record(batch, results)
    assert "refused" not in mailing_factories.statuses(through_twilio)


@pytest.mark.parametrize("err", [239, 243, 244, 246, 247, 254])
def test_a_limit_of_the_account_at_smsc_keeps_everybody(
    smsc_emulator: SmscEmulator, the_owner: User, monkeypatch: pytest.MonkeyPatch, err: int
) -> None:
    """T10: up to 2,000 people had to be sent to by hand again."""

    def refused(phone: str, _text: str) -> dict[str, str]:
        return {"phone": phone, "mccmnc": "", "cost": "0", "status": "23", "error": str(err)}

    monkeypatch.setattr("tests.emulators.smsc.result", refused)
    factories.smsc()
    factories.students(PEOPLE, digits="77")
    mailing = mailing_factories.prepared(the_owner, text="Webinar at six")
    all_handed_over()
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "waiting": PEOPLE}
    account = Account.objects.get()
    assert (cooldown.is_on(account), account.cooldown_raw) == (True, f"smsc:err {err}")


@pytest.mark.parametrize(
    ("err", "most"), [(250, 0), (253, 0), (255, record.BRAKE), (1, record.BRAKE)]
)
def test_any_reason_pauses_what_smsc_refuses_to_everybody(
    smsc_emulator: SmscEmulator,
    the_owner: User,
    monkeypatch: pytest.MonkeyPatch,
    err: int,
    most: int,
) -> None:
    """What is about numbers is tried one by one before anybody believes that it is about all."""

    def refused(phone: str, _text: str) -> dict[str, str]:
        return {"phone": phone, "mccmnc": "", "cost": "0", "status": "20", "error": str(err)}

    monkeypatch.setattr("tests.emulators.smsc.result", refused)
    factories.smsc()
    factories.students(PEOPLE, digits="77")
    mailing = mailing_factories.prepared(the_owner, text="Webinar at six")
    all_handed_over()
    mailing.refresh_from_db()
    assert mailing.state == Mailing.State.PAUSED
    assert mailing_factories.statuses(mailing).get("refused", 0) == most
    mailing_factories.assert_counters_equal_rows(mailing)


def test_a_request_that_seventech_never_understands_refuses_nobody(
    seventech_emulator: SevenTechEmulator, the_owner: User
) -> None:
    factories.seventech()
    factories.students(PEOPLE, digits="77")
    mailing = mailing_factories.prepared(the_owner, text="Webinar at six")
    answers(seventech_emulator, "404")
    all_handed_over()
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "waiting": PEOPLE}
    assert cooldown.is_on(Account.objects.get())


# --- batches of few --------------------------------------------------------------------------
@pytest.fixture
def ones(the_owner: User, monkeypatch: pytest.MonkeyPatch) -> Mailing:
    """300 people, each in a batch of their own."""
    monkeypatch.setattr(Simulator, "batch", 1)
    factories.simulator()
    factories.students(PEOPLE)
    return mailing_factories.prepared(the_owner, text="{first_name}, a word")


def awake() -> None:
    Account.objects.update(failures=0, cooldown_until=None)


def test_one_alone_waits_while_nothing_was_taken_lately(ones: Mailing) -> None:
    mailing_factories.sent(Outcome.REFUSED, raw="made up 29999")
    assert "refused" not in mailing_factories.statuses(ones)
    assert cooldown.is_on(Account.objects.get())


def test_one_alone_is_refused_when_others_were_taken_lately(ones: Mailing) -> None:
    mailing_factories.sent(Outcome.TAKEN)
    mailing_factories.sent(Outcome.REFUSED, raw="made up 29999")
    assert mailing_factories.statuses(ones)["refused"] == 1


def test_a_few_at_most_are_refused_alone_before_the_account_rests(ones: Mailing) -> None:
    mailing_factories.sent(Outcome.TAKEN)
    for _ in range(20):
        mailing_factories.sent(Outcome.REFUSED, raw="made up 29999")
        awake()
    assert mailing_factories.statuses(ones)["refused"] == record.LATEST


def test_what_was_taken_long_ago_proves_nothing(ones: Mailing) -> None:
    mailing_factories.sent(Outcome.TAKEN)
    Batch.objects.filter(state="answered").update(answered_at=timezone.now() - timedelta(hours=2))
    mailing_factories.sent(Outcome.REFUSED, raw="made up 29999")
    assert "refused" not in mailing_factories.statuses(ones)


@pytest.mark.parametrize(
    "reason",
    [each for each in Reason if each not in {Reason.OTHER, Reason.BAD_REQUEST}],
)
def test_the_brake_counts_every_reason(
    ones: Mailing, monkeypatch: pytest.MonkeyPatch, reason: Reason
) -> None:
    monkeypatch.setattr(record, "BRAKE", 3)
    for _ in range(3):
        mailing_factories.sent(Outcome.REFUSED, reason=reason, raw="made up 1")
    ones.refresh_from_db()
    assert (ones.state, ones.trouble) == (Mailing.State.PAUSED, reason)
    assert mailing_factories.statuses(ones)["refused"] == 3


def test_as_many_as_the_brake_and_what_is_in_hand_are_refused_at_most(ones: Mailing) -> None:
    """Batches too small to prove anything: four at once, of 19 messages each, would be 49 + 4 x 19."""
    Account.objects.update(parallel=4)
    while (batch := claim.claim()) is not None:
        flying = [batch, *filter(None, (claim.claim() for _ in range(3)))]
        for each in flying:
            results = mailing_factories.results(
                each, Outcome.REFUSED, reason=Reason.NO_ROUTE, raw="1"
            )
            record.record(each, results)
    ones.refresh_from_db()
    assert ones.state == Mailing.State.PAUSED
    assert record.BRAKE <= mailing_factories.statuses(ones)["refused"] < record.BRAKE + 4


def test_after_a_resumption_twice_as_many_may_be_bad(
    ones: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each number may be bad for itself: a pause after each would make it endless."""
    monkeypatch.setattr(record, "BRAKE", 2)
    paused_at = []
    for refused in range(1, 18):
        mailing_factories.sent(Outcome.REFUSED, reason=Reason.BAD_PHONE, raw="bad")
        ones.refresh_from_db()
        if ones.state == Mailing.State.PAUSED:
            paused_at.append(refused)
            Mailing.objects.update(state=Mailing.State.SENDING)
    assert paused_at == [2, 4, 8, 16]


def test_a_whole_batch_refused_for_one_reason_pauses_however_many_were_taken(
    the_owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Simulator, "batch", 100)
    factories.simulator()
    factories.students(PEOPLE)
    mailing = mailing_factories.prepared(the_owner)
    mailing_factories.sent(Outcome.TAKEN)
    mailing_factories.sent(Outcome.REFUSED, reason=Reason.NO_ROUTE, raw="made up 21408")
    mailing.refresh_from_db()
    assert (mailing.state, mailing.trouble) == (Mailing.State.PAUSED, Reason.NO_ROUTE)
    assert mailing_factories.statuses(mailing)["waiting"] == 100


# --- a send time that the service does not take ----------------------------------------------
@pytest.mark.parametrize("code", [35111, 35125])
def test_a_time_that_is_not_taken_is_kept_here(
    twilio_emulator: TwilioEmulator, the_owner: User, code: int
) -> None:
    """T3: 35125 refused 100 and paused; now all wait here until their time, and nobody rests."""
    credentials = {"account_sid": ACCOUNT, "auth_token": "made-up-token"}
    factories.twilio(credentials=credentials | {"messaging_service_sid": SERVICE})
    factories.students(PEOPLE, digits="77")
    mailing = mailing_factories.prepared(the_owner, text="Webinar at six")
    at = timezone.now() + timedelta(hours=2)
    Batch.objects.update(send_at=at)  # as if planned so: handed over now, sent by the service then
    answers(twilio_emulator, f"error-{code}")
    all_handed_over()
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "waiting": PEOPLE}
    assert not cooldown.is_on(Account.objects.get())
    batches = Batch.objects.filter(state="waiting")
    assert {(batch.send_at, batch.not_before) for batch in batches} == {(None, at)}
    # And when the time has come they leave, without a time of the service.
    twilio_emulator.plan.share = 0
    Batch.objects.filter(state="waiting").update(not_before=timezone.now())
    all_handed_over()
    assert mailing_factories.statuses(mailing) == {"skipped": 1, "accepted": PEOPLE}
    assert not any("SendAt" in fields for _command, fields in twilio_emulator.requests)


def test_smsc_too_may_not_like_a_time() -> None:
    later = Sms(1, ONE.phone, "Hello", at=datetime.now(UTC) + timedelta(hours=1))
    wrong = Answer(200, '{"error": "made up", "error_code": 5}')
    [result] = results_of([later], wrong)
    assert (result.outcome, result.untimed) == (UNSENT, True)
    [result] = results_of([ONE], wrong)
    assert (result.outcome, result.untimed) == (REFUSED, False)


def test_without_a_time_of_ours_such_a_code_rests_the_account(
    through_twilio: Mailing, twilio_emulator: TwilioEmulator
) -> None:
    answers(twilio_emulator, "error-35118")
    all_handed_over()
    assert mailing_factories.statuses(through_twilio)["waiting"] == PEOPLE
    assert cooldown.is_on(Account.objects.get())


# --- Retry-After -----------------------------------------------------------------------------
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("read", ["twilio", "smsc", "seventech"])
def test_a_service_is_heard_when_it_asks_to_wait(status: int, read: str) -> None:
    answer = Answer(status, "<html>", retry_after=42.0)
    result = {
        "twilio": lambda: result_of(ONE, answer),
        "smsc": lambda: results_of([ONE], answer)[0],
        "seventech": lambda: seventech_result(ONE, answer),
    }[read]()
    assert result.retry_after == 42.0


@pytest.mark.parametrize("status", [200, 400, 500])
def test_and_only_then(status: int) -> None:
    assert result_of(ONE, Answer(status, "{}", retry_after=42.0)).retry_after is None


@pytest.mark.parametrize("name", ["429", "503", "error-20429"])
@pytest.mark.parametrize(
    ("asked", "rests"), [("90", 90), ("7", 7), ("0", 1), ("86400", 600), ("soon", 30), ("", 30)]
)
def test_the_account_rests_as_long_as_the_service_asks_within_reason(
    twilio_emulator: TwilioEmulator, the_owner: User, name: str, asked: str, rests: int
) -> None:
    """T11. Ten minutes at most: a service may write anything."""
    factories.twilio()
    factories.students(3, digits="77")
    mailing = mailing_factories.prepared(the_owner)
    twilio_emulator.plan.retry_after = asked
    answers(twilio_emulator, name)
    before = timezone.now()
    batch = mailing_factories.claimed()
    record.record(batch, worker.hand_over(batch))
    until = Account.objects.get().cooldown_until
    assert until is not None
    assert abs((until - before).total_seconds() - rests) < 5
    assert "refused" not in mailing_factories.statuses(mailing)


def test_the_longest_of_several_wishes_counts(db: None) -> None:
    account = factories.simulator()
    cooldown.start(account.id, Reason.BUSY, "", seconds=60)
    cooldown.start(account.id, Reason.BUSY, "", seconds=200)
    cooldown.start(account.id, Reason.BUSY, "", seconds=5)
    account.refresh_from_db()
    assert account.cooldown_until is not None
    assert 190 < (account.cooldown_until - timezone.now()).total_seconds() <= 200
    assert account.failures == 1


def test_what_of_a_burst_asks_to_wait_is_heard_among_others(db: None) -> None:
    """The rest of the burst was not even tried and says nothing of waiting."""
    account = factories.simulator()
    record._judge_account(
        account.id,
        [
            SendResult(1, Outcome.TAKEN),
            SendResult(2, Outcome.UNSENT, reason=Reason.BUSY, raw="twilio:20429"),
            SendResult(3, Outcome.UNSENT, reason=Reason.BUSY, raw="twilio:20429", retry_after=120),
        ],
    )
    account.refresh_from_db()
    assert account.cooldown_until is not None
    assert 110 < (account.cooldown_until - timezone.now()).total_seconds() <= 120


def test_the_burst_stops_at_what_is_wrong_for_everybody(twilio_emulator: TwilioEmulator) -> None:
    answers(twilio_emulator, "error-21659")
    adapter = Twilio(
        Credentials({"account_sid": ACCOUNT, "auth_token": "made-up-token"}, "School"), ""
    )
    many = [Sms(key, f"+7998{key:07}", "Hello") for key in range(100)]
    results = adapter.send("ref1", many, clock() + 60)
    assert {(each.outcome, each.reason) for each in results} == {(UNSENT, Reason.SENDER_FORBIDDEN)}
