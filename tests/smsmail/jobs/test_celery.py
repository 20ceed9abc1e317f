"""Real Celery workers and beats on a real Redis and PostgreSQL: wake-ups may be doubled or lost."""

import contextlib
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import Count

from integrations.models import SimulatedSms
from mailings.lifecycle import transitions
from mailings.models import Counters, Mailing, Message
from tests import factories
from tests.crash.servers import Redis
from tests.processes import AGAIN, running, wait_until
from users.models import User

pytestmark = [pytest.mark.broker, pytest.mark.django_db(transaction=True)]

CELERY = (sys.executable, "-m", "celery", "-A", "smsmail")
WORKER = (*AGAIN, *CELERY, "worker", "--concurrency", "3", "--without-mingle", "--without-gossip")
BEAT = (*AGAIN, *CELERY, "beat")
PEOPLE = 3000


def environment(redis_url: str, folder: Path) -> dict[str, str]:
    """Another process's way to this test's database and broker."""
    assert connection.vendor == "postgresql", "these tests are about the production shape"
    at = connection.settings_dict
    return {
        "DATABASE_URL": f"postgres://{at['USER']}:{at['PASSWORD']}@{at['HOST']}:{at['PORT']}/{at['NAME']}",
        "REDIS_URL": redis_url,
        "STATE_DIR": str(folder),
    }


def launched(by: User) -> Mailing:
    """A mailing to PEOPLE students whom the simulator treats in every way that comes to an end."""
    students = factories.students(PEOPLE)
    User.objects.filter(phone__endswith="06").update(phone="")  # no receipt, which takes 26 hours
    factories.simulator()
    mailing = Mailing.objects.create(name="Made up", text="Webinar at 19:00", everyone=True)
    assert len(students) == PEOPLE
    transitions.launch(mailing, by)
    return mailing


def state(mailing: Mailing) -> str:
    mailing.refresh_from_db()
    return mailing.state


def handed(mailing: Mailing) -> int:
    counters = Counters.objects.get(mailing=mailing)
    return counters.total - counters.waiting - counters.skipped


def assert_every_person_got_it_once(mailing: Mailing) -> None:
    rows = Counter(Message.objects.filter(mailing=mailing).values_list("status", flat=True))
    counters = Counters.objects.get(mailing=mailing)
    taken = Message.objects.filter(mailing=mailing, status__in=Message.TAKEN)

    assert {status: getattr(counters, status) for status in rows} == dict(rows)
    assert counters.total == sum(rows.values())
    assert rows.keys() <= set(Message.FINAL)
    assert SimulatedSms.objects.count() == taken.count() > PEOPLE * 0.9
    assert not SimulatedSms.objects.values("phone").annotate(times=Count("id")).filter(times__gt=1)


def test_a_mailing_ends_well_with_two_beats_and_a_redis_flushed_and_killed(
    owner: User, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(Redis())
        way = environment(redis.url, tmp_path)
        worker = stack.enter_context(running(WORKER, way, tmp_path / "worker.log"))
        for name in ("beat", "another"):
            stack.enter_context(running(BEAT, way, tmp_path / f"{name}.log"))
        mailing = launched(owner)

        wait_until(lambda: handed(mailing) > 0, 60, worker.output)
        redis.flush()
        time.sleep(0.5)
        redis.flush()
        redis.kill()
        time.sleep(1)
        redis.start()
        assert state(mailing) != Mailing.State.DONE, "there was nothing left to disturb"

        wait_until(lambda: state(mailing) == Mailing.State.DONE, 120, worker.output)
        assert_every_person_got_it_once(mailing)
        assert " failed" not in worker.output
