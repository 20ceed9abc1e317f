"""Our way: the functions of the periodic jobs, run one after the other in this process. SMSC is
emulated in another process; receipts are written as our webhook writes them, then processed.
"""

from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlencode

import requests
from django.conf import settings
from django.db.models import QuerySet

from benchmarks.timing import Step, timed
from integrations.models import Account, Receipt
from mailings.lifecycle import transitions
from mailings.models import Batch, Mailing, Message
from mailings.reports import recount
from mailings.sending import prepare, receipts, worker
from users.models import Group, User

TEXT = "{first_name|Здравствуйте}! Вебинар начнётся в 19:00, ссылка придёт на {email}."
CHUNK = 5000


@dataclass(frozen=True, slots=True)
class Ours:
    prepare: Step
    hand_over: Step
    process: Step


def run(people: int) -> Ours:
    owner = make_people(people)
    Account.objects.create(
        provider="smsc", credentials={"login": "school", "password": "made-up"}, parallel=4
    )
    mailing = Mailing.objects.create(name="Benchmark", text=TEXT, everyone=True)
    transitions.launch(mailing, by=owner, countdown=0)
    prepared = timed(people, prepare_all)
    handed = timed(people, hand_over_all)
    accepted = Message.objects.filter(status=Message.Status.ACCEPTED)
    write_receipts(accepted.select_related("batch"))
    processed = timed(accepted.count(), process_all)
    check(mailing, people)
    return Ours(prepared, handed, processed)


def make_people(count: int) -> User:
    """Create people with phones that every operator accepts; return the first of them."""
    Group.objects.create(name="Benchmark")
    made = (
        User(
            email=f"person{number}@example.com",
            first_name="Анна",
            phone=f"+7998{number // 50:05}{number % 50 + 50}",
            password="!",
        )
        for number in range(count)
    )
    while chunk := list(islice(made, CHUNK)):
        User.objects.bulk_create(chunk)
    return User.objects.earliest("id")


def prepare_all() -> None:
    while prepare.prepare_due():
        pass


def hand_over_all() -> None:
    while Batch.objects.filter(state=Batch.State.WAITING).exists():
        worker.hand_over_due()


def write_receipts(messages: QuerySet[Message]) -> None:
    account = Account.objects.get(provider="smsc")
    made = (
        Receipt(account=account, body=urlencode(callback(message)))
        for message in messages.iterator()
    )
    while chunk := list(islice(made, CHUNK)):
        Receipt.objects.bulk_create(chunk)


def callback(message: Message) -> dict[str, str]:
    """Return what SMSC posts to our webhook."""
    assert message.batch is not None
    return {
        "id": message.batch.reference,
        "phone": message.phone.removeprefix("+"),
        "status": "1",
        "err": "0",
        "type": "0",
        "time": "01.01.2026 12:00:00",
        "ts": "1767258000",
    }


def process_all() -> None:
    while receipts.process_due():
        pass


def check(mailing: Mailing, people: int) -> None:
    """Fast but wrong results do not count: every message is delivered, none twice, and the counters
    are right.
    """
    transitions.settle_due()
    transitions.settle_due()
    mailing.refresh_from_db()
    delivered = mailing.messages.filter(status=Message.Status.DELIVERED).count()
    assert mailing.state == Mailing.State.DONE, mailing.state
    assert delivered == people, delivered
    assert recount.compare() == []
    journal = requests.post(f"{settings.PROVIDER_URLS['smsc']}/_control", json={}, timeout=30)
    assert journal.json()["accepted"] == people
