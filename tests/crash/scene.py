"""Run in a process of its own against the stage's database: set the scene, then look at it.

`python -m tests.crash.scene launch N SERVICE` makes N students, an account at the emulated service
and a launched mailing; `... watch` the same with one that watches; `... stop` ends that; `... close_unknown`
decides about messages that nobody can be asked about; `... receipts` prints the bodies of receipts
that are not processed. All others print at their end how the mailing stands,
as JSON.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass

import django


@dataclass
class Standing:
    """How the mailing stands."""

    state: str
    rows: dict[str, int]
    counters: dict[str, int]
    unprocessed: int
    clicks: dict[str, int]
    messages: list[int]  # the first and the last
    differences: int  # that recount finds


def main() -> None:
    django.setup()
    if sys.argv[1] == "launch":
        launch(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1] == "watch":
        watch(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1] == "stop":
        stop()
    elif sys.argv[1] == "close_unknown":
        close_unknown()
    elif sys.argv[1] == "login":
        login(sys.argv[2])
    elif sys.argv[1] == "twins":
        twins(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1] in {"declared", "receipts"}:
        print(json.dumps(declared() if sys.argv[1] == "declared" else receipts()))  # noqa: T201
        return
    print(json.dumps(asdict(look())))  # noqa: T201 - whoever started us reads it


def launch(count: int, service: str) -> None:
    from mailings.lifecycle import transitions
    from mailings.models import Mailing
    from tests import factories

    school(count, service)
    mailing = Mailing.objects.create(
        name="Crash",
        text="Hello, {first_name}: https://school.ru/",
        everyone=True,
        wrap_links=True,
    )
    transitions.launch(mailing, factories.owner(), countdown=0)


def watch(count: int, service: str) -> None:
    from tests import factories
    from tests.mailings import mailing_factories

    school(count, service)
    factories.owner()
    mailing_factories.watching(name="Crash", text="Hello, {first_name}", everyone=True)


def school(count: int, service: str) -> None:
    from django.core.management import call_command

    from integrations.models import Account
    from tests import factories

    call_command("migrate", verbosity=0)
    factories.students(count)
    accounts = {
        "smsc": factories.smsc,
        "twilio": factories.twilio,
        "seventech": factories.seventech,
    }
    pace = int(os.environ.get("CRASH_PACE", "0"))  # messages a second
    accounts[service](receipt_key="made-up-key", per_second=pace)
    assert Account.objects.count() == 1


def stop() -> None:
    from mailings.lifecycle import transitions
    from mailings.models import Mailing
    from users.models import User

    transitions.stop_watching(Mailing.objects.get(), User.objects.get(email="olga@example.com"))


def close_unknown() -> None:
    from mailings.lifecycle import unresolved
    from mailings.models import Mailing
    from users.models import User

    unresolved.close_unknown(Mailing.objects.get(), User.objects.get(email="olga@example.com"))


def login(name: str) -> None:
    from integrations.models import Account
    from integrations.routing import accounts

    account = Account.objects.get()
    new = account.credentials | {"login": name}
    accounts.connect(account.provider, new, sender="School", price=account.price, by=None)


def twins(count: int, service: str) -> None:
    from mailings.lifecycle import transitions
    from mailings.models import Mailing
    from tests import factories

    school(count, service)
    owner = factories.owner()
    for name in ("One", "Two"):
        mailing = Mailing.objects.create(name=name, text="At seven", everyone=True)
        transitions.launch(mailing, owner, countdown=0)


def declared() -> dict[str, int]:
    from django.db.models import Count

    from mailings.models import Message

    gone = Message.objects.filter(status__in=Message.TAKEN)
    counts = gone.order_by().values_list("phone").annotate(Count("id"))
    return {phone.lstrip("+"): count for phone, count in counts}


def receipts() -> dict[str, list[str]]:
    from integrations.models import Receipt

    return {"bodies": list(Receipt.objects.values_list("body", flat=True))}


def look() -> Standing:
    from django.db.models import Count, Max, Min

    from integrations.models import Receipt
    from mailings.models import Click, Mailing, Message
    from mailings.reports import recount

    mailing = Mailing.objects.select_related("counters").order_by("id")[0]
    rows = Message.objects.values_list("status").annotate(Count("id"))
    counters = {status.value: mailing.counters.of(status) for status in Message.Status}
    return Standing(
        state=mailing.state,
        rows=dict(rows),
        counters={status: count for status, count in counters.items() if count},
        unprocessed=Receipt.objects.count(),
        clicks={
            "rows": Click.objects.count(),
            "unfolded": Click.objects.filter(processed_at__isnull=True).count(),
            "counted": mailing.counters.clicks,
            "clicked": mailing.counters.clicked,
        },
        messages=[*Message.objects.aggregate(Min("id"), Max("id")).values()],
        differences=len(recount.compare()),
    )


if __name__ == "__main__":
    main()
