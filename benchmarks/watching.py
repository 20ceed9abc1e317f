"""`python -m benchmarks.watching` measures what a check of an on-entry rule costs that finds nobody new, and
what the preview of the last 30 days costs, compared with a plain count of the rule; for rules that match
everybody, and few people. It uses a PostgreSQL database of its own.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from cryptography.fernet import Fernet

from benchmarks.cluster import cluster

TIMES = 5


def main() -> int:
    parser = argparse.ArgumentParser(description="what watching a rule costs")
    parser.add_argument("--people", type=int, default=1_000_000)
    given = parser.parse_args()
    with (
        cluster() as server,
        server.database("watching") as address,
        tempfile.TemporaryDirectory() as folder,
    ):
        os.environ |= {
            "DATABASE_URL": address,
            "DATA_DIR": folder,
            "REDIS_URL": "",
            "SECRET_KEY": "made-up",
            "FIELD_KEYS": Fernet.generate_key().decode(),
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "smsmail.settings",
        }
        import django

        django.setup()
        run(given.people)
    return 0


def run(people: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    from mailings.audience import audience
    from mailings.lifecycle import on_entry
    from mailings.models import Arrival, Mailing

    call_command("migrate", verbosity=0, skip_checks=True)
    mailings = fill(people)
    on_entry.EVERY *= 0
    print(f"\n{people:,} people; the median of {TIMES}; nobody is new\n")
    print(
        f"{'rule':36}{'under it':>12}{'count, ms':>12}{'look, ms':>12}{'look / count':>14}{'30 days, ms':>14}"
    )
    for name, mailing in mailings.items():
        on_entry.watch_some(mailing.id)  # the first check stores everybody who matches
        arrived = Arrival.objects.filter(mailing=mailing).count()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        mailing = Mailing.objects.get(id=mailing.id)
        count = ms(audience.matching(mailing).count)
        look = ms(partial(on_entry.watch_some, mailing.id))
        preview = ms(partial(fresh_foresight, mailing), times=1)
        print(
            f"{name:36}{arrived:12,}{count:12,.0f}{look:12,.0f}{look / count:14.2f}{preview:14,.0f}",
            flush=True,
        )
    print(f"\nLoad on the machine: {os.getloadavg()[0]:.1f} over {os.cpu_count()} cores.")


def fresh_foresight(mailing: Any) -> None:
    from django.core.cache import cache

    from mailings.audience.backtest import estimate
    from mailings.audience.spec import AudienceSpec

    cache.clear()
    assert estimate(AudienceSpec.of(mailing)).now


def ms(work: Callable[[], object], times: int = TIMES) -> float:
    def once() -> float:
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) * 1000

    once()
    return median(once() for _ in range(times))


def fill(people: int) -> dict[str, Any]:
    """Put everybody in one group and every thousandth person in another; return one watching mailing
    for each kind of rule.
    """
    from django.db import connection
    from django.utils import timezone

    from integrations.models import Account
    from mailings.models import Counters, Mailing
    from users.models import Group, Segment

    Account.objects.create(provider="simulator", credentials={"on": "yes"}, parallel=4)
    everybody, few = (Group.objects.create(name=name) for name in ("Everybody", "Few"))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users_user (email, password, first_name, last_name, role, rights, is_active,"
            " date_joined, phone, time_zone, language, city, fields, sms_forbidden, search)"
            " SELECT 'person' || n || '@example.com', '!', 'Anna', '', 'student', '[]', true,"
            " now() - n * interval '1 minute', '+7998' || lpad(n::text, 7, '0'), '', '', 'Kazan',"
            " '{}', false, '' FROM generate_series(1, %s) AS n",
            [people],
        )
        cursor.execute(
            "INSERT INTO users_membership (user_id, group_id, added_at)"
            " SELECT id, %s, date_joined FROM users_user",
            [everybody.pk],
        )
        cursor.execute(
            "INSERT INTO users_membership (user_id, group_id, added_at)"
            " SELECT id, %s, date_joined FROM users_user WHERE id %% 1000 = 0",
            [few.pk],
        )
        cursor.execute("VACUUM ANALYZE")

    def watching(**fields: Any) -> Mailing:
        mailing = Mailing.objects.create(
            name="Benchmark",
            text="Hello, {first_name}",
            when=Mailing.When.ON_ENTRY,
            state=Mailing.State.WATCHING,
            launched_at=timezone.now(),
            present_too=False,
            **fields,
        )
        Counters.objects.create(mailing=mailing)
        return mailing

    def segment(name: str, *conditions: dict[str, Any]) -> Mailing:
        rule = {"version": 1, "all": list(conditions)}
        return watching(segment=Segment.objects.create(name=name, rule=rule))

    in_all = {"field": "group", "op": "in", "value": str(everybody.pk)}
    in_few = {"field": "group", "op": "in", "value": str(few.pk)}
    return {
        "everyone": watching(everyone=True),
        "in the large group": segment("Large", in_all),
        "in the small group": segment("Small", in_few),
        "registered in the last 30 days": segment(
            "New", {"field": "registered", "op": "in_days", "value": 30}
        ),
        "in the large group, city": segment(
            "City", in_all, {"field": "city", "op": "is", "value": "Kazan"}
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
