"""Our way: the functions of the periodic jobs, run one after the other in this process. The SMS service is another
process; receipts are written as the door stores them, a thousand in a statement, then processed.
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from urllib.parse import urlencode

import django

django.setup()  # for the program; a part has done this already

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from benchmarks import rows  # noqa: E402 - models need Django to be set up
from benchmarks.cost import Cost, measured  # noqa: E402
from benchmarks.processes import here  # noqa: E402
from integrations.models import Account, Receipt  # noqa: E402
from mailings.lifecycle import transitions  # noqa: E402
from mailings.models import Batch, Mailing, Message  # noqa: E402
from mailings.reports import recount  # noqa: E402
from mailings.sending import prepare, receipts, worker  # noqa: E402

RECEIPTS = 1000  # in one statement


@dataclass(frozen=True, slots=True)
class Ours:
    prepare: Cost
    hand_over: Cost
    arrive: Cost  # the receipts are stored
    process: Cost

    @property
    def sent(self) -> Cost:
        return self.prepare + self.hand_over

    @property
    def whole(self) -> Cost:
        """From preparing to processed receipts, all that our own code does."""
        return self.sent + self.process

    @property
    def stored(self) -> Cost:
        """The same with the statements that store the receipts."""
        return self.whole + self.arrive

    def lines(self) -> list[tuple[str, Cost]]:
        return [
            ("prepare", self.prepare),
            ("hand over", self.hand_over),
            ("receipts arrive (INSERT alone)", self.arrive),
            ("process receipts", self.process),
            ("all but their arrival", self.whole),
        ]


def run(mailing: Mailing, people: int) -> Ours:
    """Send the mailing to these people and process a receipt for each of them."""
    taken = here().told()["messages"]
    launch(mailing)
    prepared = measured(people, prepare_all)
    handed = measured(people, hand_over_all)
    assert here().told()["messages"] - taken == people
    with callbacks(mailing) as bodies:
        arrived = measured(people, lambda: store_receipts(Receipt._meta.db_table, bodies))
    processed = measured(people, process_all)
    check(mailing, people)
    return Ours(prepared, handed, arrived, processed)


def launch(mailing: Mailing) -> None:
    transitions.launch(mailing, by=rows.owner(), countdown=0)


def prepare_all() -> None:
    while prepare.prepare_due():
        pass


def hand_over_all() -> None:
    while Batch.objects.filter(state=Batch.State.WAITING).exists():
        worker.hand_over_due()


def process_all() -> None:
    while receipts.process_due():
        pass


def store_receipts(table: str, bodies: Iterable[str]) -> None:
    account = Account.objects.get(provider="smsc")
    left = iter(bodies)
    while chunk := list(islice(left, RECEIPTS)):
        with transaction.atomic():
            rows.insert_receipts(table, account, chunk)


@contextmanager
def callbacks(mailing: Mailing) -> Iterator[Iterator[str]]:
    """Yield what SMSC posts to our webhook for each message of the mailing. It is written to a file first,
    so that whoever measures pays neither for its making nor for holding it.
    """
    told = {"status": "1", "err": "0", "type": "0", "time": "01.01.2026 12:00:00"}
    end = urlencode(told | {"ts": "1767258000"})
    accepted = mailing.messages.filter(batch__isnull=False).order_by("id")
    pairs = accepted.values_list("batch__reference", "phone")
    with tempfile.TemporaryFile("w+") as bodies:
        for reference, phone in pairs.iterator(RECEIPTS):
            bodies.write(f"id={reference}&phone={phone.removeprefix('+')}&{end}\n")
        bodies.seek(0)
        yield (line.rstrip("\n") for line in bodies)


def check(mailing: Mailing, people: int) -> None:
    """Fast but wrong results do not count: every message is delivered, none twice, and the counters are
    right.
    """
    transitions.settle_due()
    transitions.settle_due()
    mailing.refresh_from_db()
    delivered = mailing.messages.filter(status=Message.Status.DELIVERED).count()
    assert mailing.state == Mailing.State.DONE, mailing.state
    assert delivered == people, delivered
    assert recount.compare() == []


def main() -> None:
    """A program: the whole pipeline in a process and a database of its own; prints the costs as JSON."""
    people = int(sys.argv[1])
    call_command("migrate", verbosity=0, skip_checks=True)
    rows.school(people)
    json.dump(
        {name: asdict(each) for name, each in run(rows.draft("Own"), people).lines()}, sys.stdout
    )


if __name__ == "__main__":
    main()
