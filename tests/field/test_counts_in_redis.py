"""The counts of wrong passwords and links where there is a Redis: shared, readable by nobody's pickle,
and, while it is away or flushed, worth no more than a count.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from smsmail.models import Tried
from smsmail.web import rate_limit
from smsmail.web.cache import Redis as Cache
from tests.crash.servers import Redis
from tests.factories import PASSWORD
from users.models import User

pytestmark = [pytest.mark.broker, pytest.mark.django_db]


@pytest.fixture
def redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """As settings.py has it when REDIS_URL is set."""
    with Redis() as server:
        settings.REDIS_URL = server.url
        settings.CACHES = {
            "default": {
                "BACKEND": "smsmail.web.cache.Redis",
                "LOCATION": server.url,
                "KEY_PREFIX": "smsmail",
                "OPTIONS": {
                    "serializer": "smsmail.web.cache.Plain",
                    "socket_connect_timeout": 1,
                    "socket_timeout": 1,
                },
            }
        }
        monkeypatch.setattr(Cache, "_away_until", 0.0)
        monkeypatch.setattr(rate_limit, "cache", caches["default"])
        yield server


def tried(client: Client, email: str, password: str) -> int:
    return client.post("/sign-in/", {"username": email, "password": password}).status_code


def test_they_are_shared_and_end(redis: Redis, client: Client, student: User) -> None:
    assert [rate_limit.tries("a-key", 60) for _ in range(3)] == [1, 2, 3]
    rate_limit.hold("a-hold", 60)
    assert rate_limit.held(["a-hold", "another"]).keys() == {"a-hold"}
    rate_limit.forget(["a-key", "a-hold"])
    assert rate_limit.tries("a-key", 60) == 1
    assert not rate_limit.held(["a-hold"])
    assert [tried(client, student.email, "wrong") for _ in range(5)][-1] == 429
    assert tried(Client(), student.email, PASSWORD) == 429
    assert not Tried.objects.exists()
    another = (
        "import sys, redis; r = redis.from_url(sys.argv[1]); "
        "print(all(r.get(k).replace(b'.', b'').isdigit() for k in r.keys()), len(r.keys()))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", another, redis.url], capture_output=True, text=True, check=True
    )
    plain, many = seen.stdout.split()
    assert plain == "True"
    assert int(many) > 3


def test_while_it_is_away_everybody_signs_in(redis: Redis, client: Client, student: User) -> None:
    assert [tried(client, student.email, "wrong") for _ in range(5)][-1] == 429
    redis.kill()
    assert tried(client, student.email, "wrong") == 200
    began = time.monotonic()
    for _ in range(20):
        assert client.get("/r/abc").status_code == 404
    assert time.monotonic() - began < 5  # it is left alone, not waited for again and again
    assert tried(client, student.email, PASSWORD) == 302
