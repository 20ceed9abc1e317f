"""The plain way, as many projects send: each message takes one saved row, one Celery task and one
request; each receipt is looked up and saved separately. This is also the Celery application of its
worker.
"""

import os
import time
from typing import Any

import django
import requests
from celery import Celery
from django.conf import settings
from django.utils import timezone

django.setup()  # the worker starts here; the other process has done this already

from benchmarks.cost import Cost, measured  # noqa: E402
from benchmarks.processes import plain_worker, redis  # noqa: E402
from mailings.audience.personalization import values_of  # noqa: E402
from mailings.models import Mailing, Message  # noqa: E402
from mailings.text import template  # noqa: E402 - models need Django to be set up
from users.models import User  # noqa: E402

app = Celery("plain", broker=os.environ.get("BENCH_BROKER"))
app.conf.task_ignore_result = True
PROCESSES = 4  # processes that mostly wait for responses
WARM_UP = 50
Status = Message.Status


def run(people: int, body: str) -> tuple[Cost, Cost]:
    """Measure sending, from the first row to the last response, and processing the receipts."""
    mailing = Mailing.objects.create(name="Plain", text=body)
    chosen = list(User.objects.order_by("id")[: people + WARM_UP])
    with redis() as (broker, redis_pid):
        os.environ["BENCH_BROKER"] = app.conf.broker_url = broker  # the worker inherits it
        with plain_worker(PROCESSES) as worker:
            send_all(mailing, chosen[:WARM_UP])
            sent = measured(
                people, lambda: send_all(mailing, chosen[WARM_UP:]), [worker, redis_pid]
            )
    received = measured(people, lambda: receive_all(mailing, chosen[WARM_UP:]))
    assert mailing.messages.filter(status=Status.DELIVERED).count() == people
    return sent, received


def send_all(mailing: Mailing, people: list[User]) -> None:
    for person in people:
        values = values_of(person)
        message = Message(mailing=mailing, key=person.phone, user=person, phone=person.phone)
        message.text = template.render(template.parse(mailing.text), values)
        message.parts = template.parts_of(message.text)
        message.status = Status.WAITING
        message.save()
        send_one.delay(message.id)
    while mailing.messages.filter(status=Status.WAITING).exists():
        time.sleep(0.1)


@app.task  # type: ignore[untyped-decorator]  # celery has no types
def send_one(message_id: int) -> None:
    message = Message.objects.get(id=message_id)
    answer = _ask_twilio(message) if "BENCH_TWILIO" in os.environ else _ask_smsc(message)
    found = answer.get("id") or answer.get("sid")
    message.status = Status.ACCEPTED if found else Status.REFUSED
    message.provider_id = str(found or "")
    message.submitted_at = timezone.now()
    message.save()


def _ask_smsc(message: Message) -> dict[str, Any]:
    data = {"login": "school", "psw": "made-up", "fmt": "3", "charset": "utf-8"}
    data |= {"phones": message.phone, "mes": message.text, "id": str(message.id)}
    url = f"{settings.PROVIDER_URLS['smsc']}/sys/send.php"
    return dict(requests.post(url, data=data, timeout=30).json())


def _ask_twilio(message: Message) -> dict[str, Any]:
    account = "AC" + "0123456789abcdef" * 2
    url = f"{os.environ['BENCH_TWILIO']}/2010-04-01/Accounts/{account}/Messages.json"
    data = {"To": message.phone, "From": "School", "Body": message.text}
    answer = requests.post(
        url,
        data=data,
        auth=(account, "made-up-token"),
        verify=os.environ["BENCH_CERTIFICATE"],
        timeout=30,
    )
    return dict(answer.json())


def receive_all(mailing: Mailing, people: list[User]) -> None:
    for person in people:
        message = Message.objects.get(mailing=mailing, key=person.phone)
        message.status = Status.DELIVERED
        message.final_at = timezone.now()
        message.save()
