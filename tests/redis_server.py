"""A Redis of the test's own, which it may flush, kill and start again."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.processes import Running, free_port, wait_until


class RedisServer:
    def __init__(self, room: Path) -> None:
        self.room = room
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/9"
        self.client = redis.Redis.from_url(self.url)
        self.start()

    def start(self) -> None:
        """On the same port each time, and empty: it keeps nothing on disk."""
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        self.server = Running(command, {}, self.room / "redis.log")
        wait_until(self.answers, 10, "an answer of Redis")

    def answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False

    def kill(self) -> None:
        self.server.kill()


@contextlib.contextmanager
def redis_server(room: Path) -> Iterator[RedisServer]:
    started = RedisServer(room)
    try:
        yield started
    finally:
        started.kill()
