"""The production shape loses its broker and its database in the middle of a mailing."""

import time
from pathlib import Path

import pytest

from tests.crash.servers import Postgres, Redis
from tests.crash.stage import Stage, kill
from tests.processes import wait_until


@pytest.mark.broker
def test_redis_flushed_and_killed_and_postgresql_stopped_at_once_midway(tmp_path: Path) -> None:
    with (
        Postgres() as postgres,
        Redis() as redis,
        Stage(
            tmp_path, people=1500, batch=10, database_url=postgres.url, redis_url=redis.url
        ) as stage,
    ):
        stage.emulate()
        stage.launch()
        stage.serve()
        for number in (1, 2):  # two beats by mistake do no harm
            stage.celery_beat(f"{tmp_path}/beat{number}")
        stage.celery_worker("rows")
        crew = [stage.celery_worker("network") for _ in range(2)]
        wait_until(lambda: sum(stage.taken().values()) > 100, 30, "the first batches")
        redis.flush()
        kill(crew.pop())
        stage.celery_worker("network")
        wait_until(lambda: sum(stage.taken().values()) > 300, 30, "the next batches")
        postgres.stop()
        time.sleep(1)
        redis.kill()
        postgres.start()
        time.sleep(1)
        redis.start()
        assert sum(stage.taken().values()) < 1400, "it was over before anything happened"
        standing = stage.wait_for_end(90)
        stage.assert_each_once()
        stage.assert_balanced(standing)
