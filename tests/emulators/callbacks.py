"""How an emulated provider calls our receipt webhook: late, twice, out of order, before its answer.

Calls wait in a heap by time; some threads make them over kept connections and try again when the
webhook does not answer 200.
"""

import heapq
import http.client
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Manner:
    """Seconds and shares (0..1); several may be set at once."""

    delay: float = 0.1  # from the acceptance to the first call
    jitter: float = 0.0  # up to this much more, at random: another order
    steps: bool = False  # tells "handed to the operator" too, before the final status
    backwards: bool = False  # tells it after the final status instead
    twice: float = 0.0  # this share is told again
    early: bool = False  # tells before the request has got its answer
    silent: bool = False  # never calls
    tries: int = 5  # at a webhook that does not answer 200


@dataclass(order=True)
class Call:
    at: float
    number: int
    url: str = field(compare=False)
    body: bytes = field(compare=False)
    content_type: str = field(compare=False)
    tries: int = field(compare=False)
    headers: dict[str, str] = field(compare=False, default_factory=dict)


class Caller:
    def __init__(self, threads: int = 4) -> None:
        self.made = 0  # calls answered with 200
        self.failed = 0  # calls given up
        self._calls: list[Call] = []
        self._ready = threading.Condition()
        self._stopping = False
        self._under_way = 0
        for _ in range(threads):
            threading.Thread(target=self._work, daemon=True).start()

    def call_later(self, calls: Iterable[Call]) -> None:
        with self._ready:
            for call in calls:
                heapq.heappush(self._calls, call)
            self._ready.notify_all()

    def call_now(self, calls: Iterable[Call]) -> None:
        """In this thread: for receipts that overtake the answer."""
        line = _Line()
        for call in calls:
            self._count(line.post(call))
        line.hang_up()

    def wait(self, seconds: float = 10) -> None:
        """Until every call has been made; TimeoutError when it takes longer."""
        end = time.monotonic() + seconds
        while self._calls or self._under_way:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self._calls)} calls are still to be made")
            time.sleep(0.01)

    def stop(self) -> None:
        with self._ready:
            self._stopping = True
            self._ready.notify_all()

    def _work(self) -> None:
        line = _Line()
        while (call := self._next()) is not None:
            good = line.post(call)
            call.tries -= 1
            with self._ready:
                if not good and call.tries > 0 and not self._stopping:
                    call.at = time.time() + 1
                    heapq.heappush(self._calls, call)
                self._under_way -= 1
            if good or call.tries <= 0:
                self._count(good)
        line.hang_up()

    def _next(self) -> Call | None:
        """The next call whose time has come; waits for it. None at the end."""
        with self._ready:
            while not self._stopping:
                wait = self._calls[0].at - time.time() if self._calls else None
                if wait is not None and wait <= 0:
                    self._under_way += 1
                    return heapq.heappop(self._calls)
                self._ready.wait(wait)
            return None

    def _count(self, good: bool) -> None:
        with self._ready:
            if good:
                self.made += 1
            else:
                self.failed += 1


class _Line:
    """One kept connection to the webhook."""

    def __init__(self) -> None:
        self.netloc = ""
        self.connection: http.client.HTTPConnection | None = None

    def post(self, call: Call) -> bool:
        address = urlsplit(call.url)
        if address.netloc != self.netloc:
            self.hang_up()
        try:
            if self.connection is None:
                self.netloc = address.netloc
                self.connection = http.client.HTTPConnection(
                    address.hostname or "", address.port, timeout=10
                )
            path = f"{address.path}?{address.query}" if address.query else address.path
            headers = {"Content-Type": call.content_type, **call.headers}
            self.connection.request("POST", path, call.body, headers)
            with self.connection.getresponse() as response:
                response.read()
                return response.status == 200
        except (OSError, http.client.HTTPException):
            self.hang_up()
            return False

    def hang_up(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None
