"""A burst of requests: one for each message, side by side, until something is wrong for everybody."""

import threading

from integrations.providers.burst import Senders, send_each, side_by_side
from integrations.providers.contract import Outcome, SendResult, Sms
from integrations.providers.transport import Answer, Failure

MESSAGES = [Sms(key, f"+799800000{key:02}", "Hello") for key in range(10)]


def read(sms: Sms, answer: Answer) -> SendResult:
    outcomes = {200: Outcome.TAKEN, 400: Outcome.REFUSED, 401: Outcome.UNSENT}
    return SendResult(sms.key, outcomes[answer.status], raw=f"http {answer.status}")


def unsent(result: SendResult) -> bool:
    return result.outcome == Outcome.UNSENT


def send(*answers: Answer, at_once: int = 1) -> tuple[list[SendResult], int]:
    """The results, and how many requests were made."""
    left = list(answers)
    made: list[int] = []

    def request(sms: Sms) -> Answer:
        made.append(sms.key)
        return left.pop(0)

    some = MESSAGES[: len(answers)]
    return send_each(
        some, request, read, unsent, at_once=at_once, name="test", senders=Senders()
    ), len(made)


def test_every_message_has_its_result_in_order() -> None:
    results, made = send(Answer(200), Answer(400), Answer(200))
    assert [(each.key, each.outcome) for each in results] == [
        (0, Outcome.TAKEN),
        (1, Outcome.REFUSED),
        (2, Outcome.TAKEN),
    ]
    assert made == 3


def test_what_stops_it_spares_the_rest_and_is_their_reason() -> None:
    results, made = send(Answer(200), Answer(401), Answer(200), Answer(200))
    assert made == 2
    assert [each.outcome for each in results] == [Outcome.TAKEN] + [Outcome.UNSENT] * 3
    assert {each.raw for each in results[1:]} == {"http 401"}


def test_a_message_that_was_withheld_does_not_stop_the_others() -> None:
    results, made = send(Answer(0, failure=Failure.WITHHELD), Answer(200))
    assert results[0] == SendResult(0, Outcome.UNSENT, withheld=True)
    assert results[1].outcome == Outcome.TAKEN
    assert made == 2


def test_nothing_to_send_makes_no_thread() -> None:
    before = threading.active_count()
    assert side_by_side(lambda each: each, [], at_once=20, name="test") == []
    assert threading.active_count() == before


def test_no_more_are_under_way_than_allowed() -> None:
    lock, under_way, most = threading.Lock(), [0], [0]

    def do(number: int) -> str:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        threading.Event().wait(0.01)
        with lock:
            under_way[0] -= 1
        return threading.current_thread().name

    names = side_by_side(do, range(12), at_once=3, name="test")
    assert most[0] <= 3
    assert all(name.startswith("test") for name in names)
