"""A real worker process that has nothing to do, and whose clocks and looks are an hour apart: only a wake-up
from this process, or what the database has said beforehand, can bring its jobs.
"""

import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from mailings.lifecycle import transitions
from mailings.models import Mailing, Message
from mailings.notifications import editing
from mailings.notifications.send import raise_event
from tests import factories
from tests.mailings import mailing_factories
from tests.processes import running, wait_until
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = """
import sys
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
import django
django.setup()
from django.core.management import call_command
from smsmail.jobs import pace
pace.LOOK = pace.LATER_LOOK = pace.RESTS_AT_MOST = 3600.0
pace.STAYS = 1.0
settings.SILENT_AFTER = 7200
call_command("runworker")
"""


@pytest.fixture
def paid(owner: User) -> Mailing:
    factories.simulator()
    made = Mailing(event="paid", name="Paid", text="Paid", event_values=[])
    editing.add(made, owner)
    editing.switch(made, owner, on=True)
    return made


@pytest.fixture
def worker(paid: Mailing, tmp_path: Path) -> Iterator[None]:
    at = connection.settings_dict
    environment = {
        "DJANGO_SETTINGS_MODULE": "smsmail.settings",
        "REDIS_URL": "",
        "STATE_DIR": str(tmp_path),
    }
    log = tmp_path / "log"
    with running((sys.executable, "-c", WORKER, str(at["NAME"])), environment, log) as started:
        wait_until(lambda: "jobs by the clock" in started.output, 60, "its first line")
        time.sleep(4)  # its jobs have run, and rest
        yield
        assert "Traceback" not in started.output


def test_a_notification_wakes_an_idle_worker(worker: None, paid: Mailing, student: User) -> None:
    raise_event("paid", student, key="order:15")

    wait_until(lambda: Message.objects.filter(mailing=paid, batch__state="answered").exists(), 20)


def test_a_launch_wakes_an_idle_worker_and_its_set_time_does_too(
    worker: None, owner: User, student: User
) -> None:
    mailing_factories.policy(countdown=3)
    mailing = mailing_factories.draft()
    transitions.launch(mailing, owner)
    assert mailing.state == Mailing.State.SCHEDULED
    assert mailing.leaves_at is not None
    assert mailing.leaves_at > timezone.now() + timedelta(seconds=1)

    wait_until(lambda: Message.objects.filter(mailing=mailing, status="accepted").exists(), 20)

    assert timezone.now() >= mailing.leaves_at
