"""Sending a batch to a service that takes one message in one request: a burst of requests from several
threads, which stops when something is wrong for everybody.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from integrations.reasons import Reason
from smsmail.uptime import clock

from .contract import Outcome, SendResult, Sms
from .transport import Answer, Failure
from .window import Window

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(do: Callable[[T], R], items: Sequence[T], *, at_once: int, name: str) -> list[R]:
    """do() of each item, in their order. The threads, named after the service, end with it."""
    if not items:
        return []
    with ThreadPoolExecutor(min(at_once, len(items)), thread_name_prefix=name) as threads:
        return list(threads.map(do, items))


class Burst:
    """One request for each message. After a result that stops the burst, no request starts any more: the
    messages left are unsent, with the reason of the first such result. Requests under way go on.
    """

    def __init__(
        self,
        messages: Sequence[Sms],
        request: Callable[[Sms], Answer],
        result_of: Callable[[Sms, Answer], SendResult],
        stops: Callable[[SendResult], bool],
        *,
        at_once: int,
        has_room: Callable[[], None] = lambda: None,
    ) -> None:
        """at_once: requests under way at most. has_room: called when another burst could begin."""
        self._messages = messages
        self._request = request
        self._result_of = result_of
        self._stops = stops
        self._results: dict[int, SendResult] = {}
        self._stop: SendResult | None = None
        self._error: Exception | None = None
        self.at_once = at_once
        self.has_room = has_room
        # Both are used under the lock of the account's senders.
        self.left = deque(messages)
        self.under_way = 0

    @property
    def is_over(self) -> bool:
        return self._stop is not None or self._error is not None

    def send(self, sms: Sms) -> Answer:
        """Make the request of one message, and keep its result."""
        answer = self._request(sms)
        if answer.failure == Failure.WITHHELD:
            self._results[sms.key] = SendResult(sms.key, Outcome.UNSENT, withheld=True)
            return answer
        result = self._results[sms.key] = self._result_of(sms, answer)
        if self._stops(result):
            self._stop = self._stop or result
        return answer

    def fail(self, error: Exception) -> None:
        """A mistake of ours: nothing more leaves, and results() raises it."""
        self._error = error

    def results(self) -> list[SendResult]:
        """Return one for each message, in their order. Call it when no request is under way any more."""
        if self._error is not None:
            raise self._error
        return [self._results.get(sms.key) or self._rest(sms) for sms in self._messages]

    def _rest(self, sms: Sms) -> SendResult:
        if self._stop is None:  # cannot be; if it were, nothing would be known
            return SendResult(sms.key, Outcome.UNKNOWN, reason=Reason.NO_ANSWER)
        return SendResult(sms.key, Outcome.UNSENT, reason=self._stop.reason, raw=self._stop.raw)


def send_each(
    messages: Sequence[Sms],
    request: Callable[[Sms], Answer],
    result_of: Callable[[Sms, Answer], SendResult],
    stops: Callable[[SendResult], bool],
    *,
    at_once: int,
    name: str,
    senders: "Senders",
    has_room: Callable[[], None] = lambda: None,
) -> list[SendResult]:
    """Send them in a burst (Burst), and return a result for each."""
    if not messages:
        return []
    burst = Burst(messages, request, result_of, stops, at_once=at_once, has_room=has_room)
    return senders.run(burst, name=name)


class Senders:
    """The threads of this process that make requests for one account. The thread that runs a burst makes
    requests too, so that a notification never waits for a place while mailings have taken all. Others
    join as the window allows, go from one burst to the next, and end when there is nothing to do.
    """

    def __init__(self) -> None:
        self.window = Window()
        self._bursts: list[Burst] = []
        self._under_way = 0
        self._changed = threading.Condition()
        self._ended: list[threading.Thread] = []
        self._had_room = True

    def run(self, burst: Burst, *, name: str) -> list[SendResult]:
        """Send all messages of the burst and return their results. name: how the threads' names begin."""
        with self._changed:
            self._bursts.append(burst)
            self._under_way += 1
            burst.under_way += 1
            self._had_room = self._has_room()
        self._join_in(name)
        try:
            self._help(burst, name, joined=False)
        finally:
            with self._changed:
                self._leave(burst)
                self._changed.wait_for(lambda: not burst.under_way)
                self._bursts.remove(burst)
                ended, self._ended = self._ended, []
            self._join_in(name)
            for thread in ended:
                thread.join()
        return burst.results()

    def has_room(self) -> bool:
        """True if another burst would find places free now, or as soon as answers come."""
        with self._changed:
            return self._has_room()

    def _has_room(self) -> bool:
        return sum(min(len(each.left), each.at_once) for each in self._bursts) < self.window.limit

    def _help(self, burst: Burst, name: str, *, joined: bool) -> None:
        """Send messages of the burst until none is left, or until a thread that has joined is one too many."""
        while (sms := self._next(burst, joined=joined)) is not None:
            began = clock()
            try:
                answer = burst.send(sms)
            except Exception as error:  # noqa: BLE001 - raised again by results()
                burst.fail(error)
                return
            with self._changed:
                before = self.window.limit
                self.window.learn(answer, began, self._under_way)
                grown = self.window.limit > before
            if grown:
                self._join_in(name)

    def _next(self, burst: Burst, *, joined: bool) -> Sms | None:
        with self._changed:
            if burst.is_over:
                burst.left.clear()
            one_too_many = joined and self._under_way > self.window.limit
            sms = burst.left.popleft() if burst.left and not one_too_many else None
            before, self._had_room = self._had_room, self._has_room()
            tell = list(self._bursts) if self._had_room and not before else []
        for each in tell:
            each.has_room()
        return sms

    def _join_in(self, name: str) -> None:
        """Start threads for the places that are free."""
        while True:
            with self._changed:
                burst = self._wanting() if self._under_way < self.window.limit else None
                if burst is None:
                    return
                self._under_way += 1
                burst.under_way += 1
            threading.Thread(target=self._join, args=[burst, name], name=name, daemon=True).start()

    def _wanting(self) -> Burst | None:
        """Return the burst that has the fewest requests under way of those that could have more."""
        wanting = [each for each in self._bursts if each.left and each.under_way < each.at_once]
        return min(wanting, key=lambda each: each.under_way, default=None)

    def _join(self, burst: Burst | None, name: str) -> None:
        while burst is not None:
            self._help(burst, name, joined=True)
            burst = self._go_on(burst)

    def _go_on(self, burst: Burst) -> Burst | None:
        """Leave a burst, and return the one to help next; None if the thread is not needed any more."""
        with self._changed:
            self._leave(burst)
            after = self._wanting() if self._under_way < self.window.limit else None
            if after is None:
                self._ended.append(threading.current_thread())
                return None
            self._under_way += 1
            after.under_way += 1
            return after

    def _leave(self, burst: Burst) -> None:
        self._under_way -= 1
        burst.under_way -= 1
        self._changed.notify_all()


_lock = threading.Lock()
_known: defaultdict[Hashable, Senders] = defaultdict(Senders)


def senders_of(account: Hashable) -> Senders:
    """Return those of an account, which is told apart by its service and login. In memory: after a restart
    the window begins anew, and has grown within seconds.
    """
    with _lock:
        return _known[account]


def forget() -> None:
    """Forget all windows, as a restart does."""
    with _lock:
        _known.clear()


def known() -> list[Senders]:
    """Return those of every account that this process has sent for."""
    with _lock:
        return list(_known.values())
