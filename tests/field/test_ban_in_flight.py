"""What is confirmed in the middle of a batch holds from then on: a ban, an opt-out, a pause, a cancel.

Source: chaos run of smsmail ("A ban in the middle of a batch"): five bans confirmed while a
batch of Twilio was in the air, and five requests 1.8 s later. The judge is the emulator's journal, which
tells when each request came.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Account, Receipt
from integrations.providers.contract import Outcome, Sms
from mailings.lifecycle import transitions
from mailings.models import Batch, Counters, Mailing, Message
from mailings.notifications import editing, send
from mailings.sending import claim, last_look, receipts, record
from mailings.sending import worker as sending_worker
from smsmail.uptime import clock
from tests import factories
from tests.emulators.smsc import SmscEmulator
from tests.emulators.smsc_format import digits
from tests.emulators.web import Emulator
from tests.mailings import mailing_factories
from tests.processes import wait_until
from users.consent import consent
from users.models import OptOut, User

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 70  # four waves of twenty requests
SLOW = 0.7  # seconds that the service takes for each of its answers


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(params=["twilio", "seventech"])
def service(request: pytest.FixtureRequest, settings: Any) -> Emulator:
    """One that takes one message in a request, and takes its time."""
    emulator: Emulator = request.getfixturevalue(f"{request.param}_emulator")
    {"twilio": factories.twilio, "seventech": factories.seventech}[request.param]()
    settings.READ_TIMEOUT = 5
    emulator.plan.share, emulator.plan.among, emulator.plan.slow = 1.0, ("slow-after",), SLOW
    return emulator


@pytest.fixture
def mailing(service: Emulator) -> Mailing:
    # 10 to 79: none of them is refused by either service.
    factories.students(PEOPLE, start=10)
    return mailing_factories.prepared(factories.owner(), text="The lesson begins at seven")


def came(service: Any) -> dict[str, float]:
    """Phone -> when its request came."""
    when: dict[str, float] = {}
    for entry in list(service.journal.entries):
        phones = [entry["to"]] if "to" in entry else [phone for phone, _ in entry["messages"]]
        for phone in phones:
            assert digits(phone) not in when, "somebody got it twice"
            when[digits(phone)] = entry["at"]
    return when


@pytest.fixture
def in_the_air(service: Emulator, mailing: Mailing) -> Iterator[None]:
    """A worker hands the batch over, and the first wave of it is under way."""

    def work() -> None:
        try:
            sending_worker.hand_over_due()
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    wait_until(lambda: len(came(service)) >= 20)
    yield
    worker.join(30)
    assert not worker.is_alive()


def landed() -> None:
    wait_until(lambda: not Batch.objects.filter(state=Batch.State.IN_FLIGHT).exists(), 30)


def not_begun(service: Emulator, count: int) -> list[User]:
    """The last of the batch: their requests have not begun."""
    gone = came(service)
    last = [each for each in User.objects.order_by("-id") if each.phone]
    some = [each for each in last if digits(each.phone) not in gone][:count]
    assert len(some) == count
    return some


# --- a person -----------------------------------------------------------------------------------
def by_a_manager(person: User, client: Client) -> None:
    client.post(reverse("person-forbid", args=[person.pk]))


def by_the_person(person: User, client: Client) -> None:
    User.objects.filter(pk=person.pk).update(phone_confirmed_at=timezone.now())  # it is theirs
    own = Client()
    own.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    own.post(reverse("me-sms"), {"on": "no"})


def by_a_reply(person: User, client: Client) -> None:
    fields = {"MessageSid": f"SM{person.pk}", "From": person.phone, "Body": "STOP"}
    if Account.objects.get().provider == "seventech":
        fields = {"clientId": digits(person.phone), "message": "STOP", "id": str(person.pk)}
    Receipt.objects.create(
        account=Account.objects.get(),
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode(fields | {"SmsStatus": "received"}),
    )
    while receipts.process_due():
        pass
    assert OptOut.objects.filter(phone=person.phone).exists()


def by_an_import(person: User, client: Client) -> None:
    consent.opt_out_all([person.phone], OptOut.Source.STAFF)


@pytest.mark.parametrize("say_no", [by_a_manager, by_the_person, by_a_reply, by_an_import])
def test_after_a_refusal_no_request_carries_the_phone(
    service: Emulator,
    mailing: Mailing,
    manager: User,
    client: Client,
    say_no: Callable[[User, Client], None],
    in_the_air: None,
) -> None:
    client.force_login(manager, backend="django.contrib.auth.backends.ModelBackend")
    confirmed = {}
    for person in not_begun(service, 5):
        say_no(person, client)
        confirmed[digits(person.phone)] = time.time()
    landed()
    when = came(service)
    late = [phone for phone, at in confirmed.items() if when.get(phone, 0) > at]
    assert late == []
    assert len(when) >= PEOPLE - 5  # nobody else was left out
    skipped = Message.objects.filter(mailing=mailing, status="skipped").exclude(phone="")
    stopped = confirmed.keys() - when.keys()
    assert stopped  # else nothing was tried
    assert {digits(phone) for phone in skipped.values_list("phone", flat=True)} == stopped
    reason = "forbidden" if say_no is by_a_manager else "opted_out"
    assert set(skipped.values_list("reason", flat=True)) == {reason}
    mailing_factories.assert_counters_equal_rows(mailing)
    assert Account.objects.get().failures == 0  # the service did nothing wrong


def test_the_page_of_the_person_tells_what_was_in_the_air(
    service: Emulator, mailing: Mailing, manager: User, client: Client, in_the_air: None
) -> None:
    client.force_login(manager, backend="django.contrib.auth.backends.ModelBackend")
    gone = next(iter(came(service)))
    [under_way] = User.objects.filter(phone__endswith=gone[-10:])
    page = client.post(reverse("person-forbid", args=[under_way.pk]), follow=True)
    assert "may still arrive" in page.content.decode()
    [never] = not_begun(service, 1)
    by_a_manager(never, client)
    landed()
    page = client.get(reverse("person", args=[never.pk]))
    assert "may still arrive" not in page.content.decode()


# --- a mailing ----------------------------------------------------------------------------------
def test_after_a_pause_no_request_begins_and_the_rest_waits(
    service: Emulator, mailing: Mailing, manager: User, client: Client, in_the_air: None
) -> None:
    client.force_login(manager, backend="django.contrib.auth.backends.ModelBackend")
    page = client.post(reverse("mailing-pause", args=[mailing.pk]), follow=True)
    confirmed = time.time()
    assert "had not left yet" in page.content.decode()
    landed()
    assert [phone for phone, at in came(service).items() if at > confirmed] == []
    gone = len(came(service))
    assert gone < PEOPLE
    assert mailing_factories.statuses(mailing)["waiting"] == PEOPLE - gone
    mailing.refresh_from_db()
    assert mailing.state == Mailing.State.PAUSED
    mailing_factories.assert_counters_equal_rows(mailing)
    transitions.resume(mailing, manager)
    service.plan.share = 0
    sending_worker.hand_over_due()
    assert len(came(service)) == PEOPLE  # came() sees to it that nobody got it twice


def test_after_a_cancel_no_request_begins_and_the_rest_is_cancelled(
    service: Emulator, mailing: Mailing, manager: User, client: Client, in_the_air: None
) -> None:
    client.force_login(manager, backend="django.contrib.auth.backends.ModelBackend")
    page = client.post(reverse("mailing-cancel", args=[mailing.pk]), follow=True)
    confirmed = time.time()
    assert "70 messages were being handed over" in page.content.decode()
    landed()
    assert [phone for phone, at in came(service).items() if at > confirmed] == []
    gone = len(came(service))
    assert mailing_factories.statuses(mailing)["cancelled"] == PEOPLE - gone > 0
    mailing_factories.assert_counters_equal_rows(mailing)


# --- where one request takes all ------------------------------------------------------------------
@pytest.fixture
def one_request(smsc_emulator: SmscEmulator) -> Mailing:
    factories.smsc()
    factories.students(20, start=10)
    return mailing_factories.prepared(factories.owner())


class LateLook(last_look.Gatekeeper):
    """Something happens between the claim and the last look."""

    meanwhile: Callable[[], object]

    def look(self) -> None:
        if self._gates and (what := LateLook.__dict__.get("meanwhile")) is not None:
            del LateLook.meanwhile
            what()
        super().look()


def test_one_request_for_all_is_looked_at_just_before_it_leaves(
    one_request: Mailing, smsc_emulator: SmscEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    banned = User.objects.get(phone="+79980000012")
    monkeypatch.setattr(sending_worker, "Gatekeeper", LateLook)
    LateLook.meanwhile = lambda: consent.forbid(banned, None)
    while sending_worker.hand_over_due():
        pass
    phones = Counter(phone for _reference, phone, _text in smsc_emulator.accepted)
    assert set(phones.values()) == {1}
    assert len(phones) == 19
    assert "79980000012" not in phones
    assert Message.objects.get(phone=banned.phone).reason == "forbidden"
    mailing_factories.assert_counters_equal_rows(one_request)


def test_a_notification_that_is_switched_off_sends_nothing_more(
    student: User, smsc_emulator: SmscEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.smsc()
    owner = factories.owner()
    mailing = Mailing.objects.create(
        kind=Mailing.Kind.NOTIFICATION, name="Paid", text="Paid", event="paid", state="sending"
    )
    Counters.objects.create(mailing=mailing)
    send.raise_event("paid", student, key="1")
    monkeypatch.setattr(sending_worker, "Gatekeeper", LateLook)
    LateLook.meanwhile = lambda: editing.switch(mailing, owner, on=False)
    sending_worker.notify_due()
    assert smsc_emulator.accepted == []
    assert mailing_factories.statuses(mailing) == {"cancelled": 1}


# --- the gate itself --------------------------------------------------------------------------------
def held(batch: claim.ClaimedBatch) -> tuple[last_look.Gatekeeper, last_look.BatchGate]:
    keeper = last_look.Gatekeeper()
    keeper.attend(batch)
    gate = batch.provider.gate
    assert isinstance(gate, last_look.BatchGate)
    return keeper, gate


def asked(keeper: last_look.Gatekeeper, gate: last_look.BatchGate, messages: list[Sms]) -> bool:
    answer: list[bool] = []
    thread = threading.Thread(target=lambda: answer.append(gate.passes(messages)))
    thread.start()
    while thread.is_alive():
        keeper.look()
        thread.join(0.01)
    return answer[0]


def test_a_batch_that_was_taken_for_a_dead_workers_sends_nothing_more(one_request: Mailing) -> None:
    """It is being asked about: what left now could be taken for what never came."""
    batch = mailing_factories.claimed()
    keeper, gate = held(batch)
    assert asked(keeper, gate, list(batch.messages))
    mailing_factories.grown_older(seconds=400)
    assert sending_worker.recover_due()
    time.sleep(last_look.FRESH)
    assert not asked(keeper, gate, list(batch.messages))
    # And its worker's own word counts: they were surely not sent, and go again.
    record.record(batch, mailing_factories.results(batch, Outcome.UNSENT, withheld=True))
    assert mailing_factories.statuses(one_request)["waiting"] == 20
    assert mailing_factories.claimed().batch_id != batch.batch_id


def test_while_the_database_cannot_be_asked_nothing_leaves(
    one_request: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = mailing_factories.claimed()
    _keeper, gate = held(batch)
    monkeypatch.setattr(last_look, "PATIENCE", 0.3)
    began = clock()
    assert not gate.passes(batch.messages)
    assert 0.3 <= clock() - began < 5


def test_a_batch_is_looked_at_a_few_times_and_not_for_each_message(
    service: Emulator, mailing: Mailing, django_assert_max_num_queries: Any
) -> None:
    """Four waves of requests, and two questions a look; the rest is the claim and the record."""
    claiming_and_recording = 45
    with django_assert_max_num_queries(claiming_and_recording + 2 * 8):
        sending_worker.hand_over_due()
    assert len(came(service)) == PEOPLE
