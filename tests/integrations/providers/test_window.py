"""How many requests are under way: the number grows and shrinks by the answers, and batches share it."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integrations.providers import burst, window
from integrations.providers.burst import Senders, send_each
from integrations.providers.contract import Outcome, SendResult, Sms
from integrations.providers.transport import Answer, Failure
from integrations.providers.window import START, Window
from tests.processes import wait_until

GOOD = Answer(201, took=0.1)
BUSY = Answer(429)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(window, "clock", clock)
    return clock


def rounds(some: Window, clock: Clock, count: int, answer: Answer = GOOD) -> None:
    """So many times, every request under way gets this answer."""
    for _ in range(count):
        began, under_way = clock.now, some.limit
        clock.now += answer.took or 0.1
        for _ in range(under_way):
            some.learn(answer, began, max(under_way, some.limit))  # what is free is taken at once


# --- the limit -------------------------------------------------------------------------------
def test_it_begins_modestly_and_grows_to_what_a_process_can_do(clock: Clock) -> None:
    some = Window()
    assert some.limit == START
    rounds(some, clock, 30)
    assert some.limit == window.MOST


def test_it_does_not_grow_while_it_is_not_used_up(clock: Clock) -> None:
    some = Window()
    for _ in range(1000):
        some.learn(GOOD, clock.now, START - 1)
    assert some.limit == START


def test_too_many_halves_it_once_for_all_who_were_there(clock: Clock) -> None:
    some = Window()
    rounds(some, clock, 30)
    rounds(some, clock, 1, BUSY)
    assert some.limit == window.MOST / 2


def test_what_was_too_many_is_not_tried_again_for_a_while(clock: Clock) -> None:
    """Each such answer costs the account a cooldown."""
    some = Window()
    rounds(some, clock, 10)
    too_many = some.limit
    rounds(some, clock, 1, BUSY)
    rounds(some, clock, 1000)
    assert too_many * 0.85 <= some.limit < too_many
    clock.now += window.REMEMBERED
    rounds(some, clock, 1000)
    assert some.limit > too_many


def test_after_trouble_it_grows_by_one_for_each_round(clock: Clock) -> None:
    some = Window()
    rounds(some, clock, 1, Answer(0, failure=Failure.UNKNOWN))
    assert some.limit == START // 2
    rounds(some, clock, 5)
    assert START // 2 + 4 <= some.limit <= START // 2 + 5


def test_one_always_remains(clock: Clock) -> None:
    some = Window()
    rounds(some, clock, 20, Answer(500))
    assert some.limit == 1
    rounds(some, clock, 20)
    assert some.limit > 10


def test_a_queue_at_the_service_makes_it_smaller(clock: Clock) -> None:
    """Its answers take the longer, the more there are: 50 at once is what it can do in 0.1 s."""
    some = Window()
    for _ in range(400):
        rounds(some, clock, 1, Answer(201, took=max(0.1, some.limit / 50 * 0.1 + 0.001)))
    assert some.limit <= window.MOST
    for _ in range(400):
        rounds(some, clock, 1, Answer(201, took=0.1 if some.limit < 60 else 1.0))
    assert START <= some.limit < 100


def test_a_service_that_is_slow_for_its_own_reasons_keeps_what_it_began_with(clock: Clock) -> None:
    some = Window()
    rounds(some, clock, 10)
    rounds(some, clock, 20, Answer(201, took=2.0))
    assert START <= some.limit < window.MOST
    rounds(some, clock, 100, Answer(201, took=2.0))  # its new measure
    assert some.limit > START


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0, failure=Failure.WITHHELD, error="Withheld"),
        Answer(0, failure=Failure.UNSENT, error="TooLate"),
    ],
)
def test_our_own_doing_says_nothing_of_the_service(clock: Clock, answer: Answer) -> None:
    some = Window()
    rounds(some, clock, 5, answer)
    assert some.limit == START


# --- the threads -----------------------------------------------------------------------------
class Service:
    """Answers when it is told to, and counts."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.under_way = self.most = self.asked = 0
        self.open = threading.Event()
        self.answer = GOOD

    def request(self, sms: Sms) -> Answer:
        with self.lock:
            self.asked += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        self.open.wait(20)
        with self.lock:
            self.under_way -= 1
        return self.answer


@pytest.fixture
def service() -> Iterator[Service]:
    some = Service()
    yield some
    some.open.set()


def messages(count: int) -> list[Sms]:
    return [Sms(key, f"+7998{key:07}", "Hello") for key in range(count)]


def taken(sms: Sms, answer: Answer) -> SendResult:
    return SendResult(sms.key, Outcome.TAKEN)


class Run(threading.Thread):
    """A batch on its way."""

    def __init__(
        self, senders: Senders, request: Callable[[Sms], Answer], count: int, **more: Any
    ) -> None:
        super().__init__(daemon=True)
        self.results: list[SendResult] = []
        self.do: Callable[[], list[SendResult]] = lambda: send_each(
            messages(count),
            request,
            taken,
            lambda result: False,
            name="test",
            senders=senders,
            **{"at_once": 20, **more},
        )
        self.start()

    def run(self) -> None:
        self.results = self.do()

    def over(self) -> list[SendResult]:
        self.join(20)
        assert not self.is_alive()
        return self.results


def test_two_batches_share_the_places(service: Service) -> None:
    senders = Senders()
    first, second = (Run(senders, service.request, 100) for _ in range(2))
    # The thread of a batch makes requests in any case.
    wait_until(lambda: service.under_way in (START, START + 1))
    time.sleep(0.1)
    assert service.most <= START + 1
    service.open.set()
    assert len(first.over()) == len(second.over()) == 100
    assert service.asked == 200
    assert service.under_way == 0


def test_a_notification_does_not_wait_for_a_place(service: Service) -> None:
    senders = Senders()
    mailing = Run(senders, service.request, 100)
    wait_until(lambda: service.under_way == START)
    assert Run(senders, lambda sms: GOOD, 1).over() == [SendResult(0, Outcome.TAKEN)]
    assert service.asked == START, "the mailing has gone on"
    service.open.set()
    mailing.over()


def test_a_batch_has_no_more_under_way_than_its_service_allows(service: Service) -> None:
    senders = Senders()
    senders.window._limit = 100
    runs = [Run(senders, service.request, 50, at_once=7) for _ in range(3)]
    wait_until(lambda: service.under_way == 21)
    time.sleep(0.1)
    assert service.most == 21
    service.open.set()
    for each in runs:
        each.over()


def test_threads_go_from_a_batch_that_ends_to_the_next(service: Service) -> None:
    senders = Senders()
    first = Run(senders, lambda sms: service.request(sms), 20)
    wait_until(lambda: service.under_way == 20)
    other = Service()
    second = Run(senders, other.request, 60)
    wait_until(lambda: other.under_way == 1)
    service.open.set()
    first.over()
    wait_until(lambda: other.under_way == 20)
    other.open.set()
    second.over()
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "test"])


def test_fewer_are_under_way_when_the_service_bears_fewer(service: Service) -> None:
    senders = Senders()
    service.answer = Answer(500)
    run = Run(senders, service.request, 400)
    service.open.set()
    assert len(run.over()) == 400
    assert senders.window.limit == 1


def test_it_tells_when_another_batch_would_find_places(service: Service) -> None:
    senders, told = Senders(), threading.Event()
    assert senders.has_room()
    run = Run(senders, service.request, 60, has_room=told.set)
    wait_until(lambda: service.under_way == START)
    assert not senders.has_room()
    assert not told.is_set()
    service.open.set()
    run.over()
    assert told.is_set()
    assert senders.has_room()


def test_a_mistake_of_ours_is_not_taken_for_unsent() -> None:
    """The worker takes all of the batch for unknown."""

    def broken(sms: Sms, answer: Answer) -> SendResult:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        send_each(
            messages(60),
            lambda sms: GOOD,
            broken,
            lambda result: False,
            at_once=20,
            name="test",
            senders=Senders(),
        )


def test_each_account_has_its_own() -> None:
    assert burst.senders_of(("a", "1")) is burst.senders_of(("a", "1"))
    assert burst.senders_of(("a", "1")) is not burst.senders_of(("a", "2"))
