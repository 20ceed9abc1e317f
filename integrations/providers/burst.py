"""Sending a batch to a service that takes one message in one request: a burst of requests from several
threads, which stops when something is wrong for everybody.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .contract import Outcome, SendResult, Sms
from .transport import Answer, Failure

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(do: Callable[[T], R], items: Sequence[T], *, at_once: int, name: str) -> list[R]:
    """do() of each item, in their order. The threads, named after the service, end with it."""
    if not items:
        return []
    with ThreadPoolExecutor(min(at_once, len(items)), thread_name_prefix=name) as threads:
        return list(threads.map(do, items))


def send_each(
    messages: Sequence[Sms],
    request: Callable[[Sms], Answer],
    result_of: Callable[[Sms, Answer], SendResult],
    stops: Callable[[SendResult], bool],
    *,
    at_once: int,
    name: str,
) -> list[SendResult]:
    """One request for each message. After a result that stops the burst, no request starts any more: the
    messages left are unsent, with the reason of the first such result. Requests under way go on.
    """
    stop: list[SendResult] = []

    def send_one(sms: Sms) -> SendResult:
        if stop:
            return SendResult(sms.key, Outcome.UNSENT, reason=stop[0].reason, raw=stop[0].raw)
        answer = request(sms)
        if answer.failure == Failure.WITHHELD:
            return SendResult(sms.key, Outcome.UNSENT, withheld=True)
        result = result_of(sms, answer)
        if stops(result):
            stop.append(result)
        return result

    return side_by_side(send_one, messages, at_once=at_once, name=name)
