"""`manage.py demo`: sends one mailing to made-up people through the simulator, from the launch to
the last receipt, without a browser. A worker running on the same database may help and does no
harm.
"""

import json
import secrets
import time
from decimal import Decimal
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count

from integrations.providers.simulator import Simulator
from integrations.routing import accounts, routing
from mailings.lifecycle import transitions
from mailings.models import Counters, Mailing, Message
from smsmail.jobs.periodic import PERIODIC_JOBS
from users.models import Group, Membership, User
from users.rights import Role

CHUNK = 5000
# The simulator decides by the last two digits. "06" gets no receipt, which shows only after 26
# hours.
ENDINGS = [f"{n:02}" for n in range(100) if n != 6]
TEXT = "{first_name|Здравствуйте}! Вебинар начнётся в 19:00, ссылка придёт на {email}."
WORK = tuple(job for job in PERIODIC_JOBS if job.every < 60)  # the others are housekeeping


class Command(BaseCommand):
    help = "Sends one mailing to N made-up people through the simulator and prints its statistics."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--people", type=int, default=1000, help="how many (1000)")
        parser.add_argument(
            "--json", action="store_true", help="one JSON object instead of a table"
        )
        parser.add_argument(
            "--deadline", type=float, default=600, help="seconds until giving up (600)"
        )

    def handle(
        self, *_args: Any, people: int, json: bool, deadline: float, **_options: Any
    ) -> None:
        if not 0 < people <= len(ENDINGS) * 100_000:
            raise CommandError(f"--people takes 1 to {len(ENDINGS) * 100_000}")
        use_simulator()
        mailing = new_mailing(people)
        began = time.monotonic()
        transitions.launch(mailing, by=sender(), countdown=0)
        work_until_done(mailing, began + deadline)
        counters, rows = counted(mailing), by_rows(mailing)
        if json:
            self.print_json(people, counters, rows)
        else:
            self.print_table(mailing, counters, rows, time.monotonic() - began)
        check_totals(people, counters, rows)

    def print_json(self, people: int, counters: dict[str, int], rows: dict[str, int]) -> None:
        self.stdout.write(json.dumps({"people": people, "counters": counters, "rows": rows}))

    def print_table(
        self, mailing: Mailing, counters: dict[str, int], rows: dict[str, int], seconds: float
    ) -> None:
        self.stdout.write(f"{mailing.name}: {mailing.get_state_display()}, {seconds:.1f} s")
        self.stdout.write(f"{'':16}{'counters':>10}{'rows':>10}")
        for status in Message.Status:
            if counters[status] or rows[status]:
                self.stdout.write(f"{status.label:16}{counters[status]:>10}{rows[status]:>10}")
        self.stdout.write(f"{'':16}{sum(counters.values()):>10}{sum(rows.values()):>10}")


def use_simulator() -> None:
    """Connect the simulator. A real service is an error: this command must never send an SMS to
    anybody.
    """
    account = routing.current()
    if account is None:
        account = accounts.connect(
            Simulator.slug, {"on": "yes"}, sender="School", price=Decimal("2.5"), by=None
        )
    if account.provider != Simulator.slug:
        raise CommandError(f"{account.provider} is connected here and would send real messages")


def new_mailing(people: int) -> Mailing:
    """Create a draft to a new group of made-up people."""
    name = f"Demo {secrets.token_hex(4)}"
    group = Group.objects.create(name=name)
    made = (person(name.replace(" ", "-").lower(), number) for number in range(people))
    while chunk := list(islice(made, CHUNK)):
        saved = User.objects.bulk_create(chunk)
        Membership.objects.bulk_create(
            Membership(user_id=each.id, group_id=group.id) for each in saved
        )
    mailing = Mailing.objects.create(name=name, text=TEXT)
    mailing.groups.add(group)
    return mailing


def person(prefix: str, number: int) -> User:
    head, ending = divmod(number, len(ENDINGS))
    made = User(
        email=f"{prefix}-{number}@example.com",
        first_name=("Анна", "Emma", "", "Пётр")[number % 4],
        last_name=f"№ {number}",
        password="!",  # noqa: S106 - nobody can sign in with it
        phone=f"+7998{head:05}{ENDINGS[ending]}",
    )
    made.prepare_for_saving()
    return made


def sender() -> User:
    """Return the user who launches it, who cannot sign in."""
    return User.objects.get_or_create(
        email="demo@example.com",
        defaults={"role": Role.EMPLOYEE, "is_active": False, "password": "!"},
    )[0]


def work_until_done(mailing: Mailing, until: float) -> None:
    while Mailing.objects.filter(id=mailing.id).exclude(state=Mailing.State.DONE).exists():
        if time.monotonic() > until:
            raise CommandError(f"not done in time: {counted(mailing)}")
        left = [job.run() for job in WORK]
        if not any(left):
            time.sleep(0.1)
    mailing.refresh_from_db()


def counted(mailing: Mailing) -> dict[str, int]:
    counters = Counters.objects.get(mailing=mailing)
    return {status: counters.of(status) for status in Message.Status.values}


def by_rows(mailing: Mailing) -> dict[str, int]:
    found = mailing.messages.values_list("status").annotate(Count("id")).order_by("status")
    return dict.fromkeys(Message.Status.values, 0) | dict(found)


def check_totals(people: int, counters: dict[str, int], rows: dict[str, int]) -> None:
    """Raise CommandError (exit code 1) unless everything adds up."""
    if counters != rows:
        raise CommandError("the counters do not equal the rows")
    if sum(rows.values()) != people:
        raise CommandError(f"{people} people, but {sum(rows.values())} messages")
    left = sum(rows[status] for status in Message.OPEN)
    if left:
        raise CommandError(f"{left} messages are not final")
