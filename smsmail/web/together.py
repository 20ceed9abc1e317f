"""Answers requests that store one row each many at a time: one thread runs them one after the other, commits all
rows at once, and only then do the answers leave. So a flood of them takes one thread and not all, and the
event loop wakes it once for many.
"""

import asyncio
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import Executor
from typing import Any, Generic, TypeVar

from .group_commit import MOST, GroupCommit
from .outages import is_outage

Answer = TypeVar("Answer")
Scope = MutableMapping[str, Any]
Request = tuple[Scope, bytes]
Waiting = list[tuple[Request, "asyncio.Future[Answer | None]"]]

NAME = "smsmail.gathering"  # of the Gathering in the WSGI environment


class Gathering:
    """In the environment of a request that runs together with others. The view may leave a row in it: then
    its answer leaves when the row is committed. It must not wait for anything itself.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.group: GroupCommit[Any, bool] | None = None
        self.row: Any = None
        # The row of an earlier attempt was not committed: the view answers that.
        self.error = error
        self.alone = False  # the request must be answered by itself, because that may take long

    def leave(self, group: GroupCommit[Any, bool], row: Any) -> None:
        self.group, self.row = group, row


class Together(Generic[Answer]):
    """run: answers one request in the calling thread."""

    def __init__(self, run: Callable[[Scope, bytes, Gathering], Answer], threads: Executor) -> None:
        self.run = run
        self.threads = threads
        self.waiting: Waiting[Answer] = []
        # One group at a time: with two, each is smaller, and a receipt took 100 microseconds more.
        self.task: asyncio.Task[None] | None = None

    async def answer(self, scope: Scope, body: bytes) -> Answer | None:
        """Return the answer; None if the request must be answered by itself."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer | None] = loop.create_future()
        self.waiting.append(((scope, body), future))
        # Soon and not now: what arrives at the same moment goes together.
        loop.call_soon(self._start)
        return await future

    def _start(self) -> None:
        if self.waiting and (self.task is None or self.task.done()):
            self.task = asyncio.ensure_future(self._answer_groups())
            self.task.add_done_callback(lambda _task: self._start())

    async def _answer_groups(self) -> None:
        failed = None
        while self.waiting:
            group, self.waiting = self.waiting[:MOST], self.waiting[MOST:]
            failed = await self._answer_all(group, failed)

    async def _answer_all(
        self, group: "Waiting[Answer]", failed: Exception | None
    ) -> Exception | None:
        loop = asyncio.get_running_loop()
        answers: list[Answer | None] = [None] * len(group)
        requests = [request for request, _future in group]
        try:
            answers, failed = await loop.run_in_executor(
                self.threads, self.answers, requests, failed
            )
        except Exception:  # noqa: BLE001 - it happens again, and is told, in an answer by itself
            return None
        finally:
            for (_request, future), answer in zip(group, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        return failed

    def answers(
        self, requests: Sequence[Request], failed: Exception | None = None
    ) -> tuple[list[Answer | None], Exception | None]:
        """Return the answers, and why the database does not serve. failed: the same of the group before, while
        these waited. They are told at once, so nobody waits twice for a database that is away or locked.
        """
        if failed is not None:
            return [self.run(*request, Gathering(failed)) for request in requests], None
        gathered = [Gathering() for _ in requests]
        first = [self.run(*request, each) for request, each in zip(requests, gathered, strict=True)]
        commit(gathered)
        errors = (each.error for each in gathered)
        outage = next((error for error in errors if error and is_outage(error)), None)
        return list(self._final(requests, gathered, first)), outage

    def _final(
        self, requests: Sequence[Request], gathered: Sequence[Gathering], first: Sequence[Answer]
    ) -> Iterator[Answer | None]:
        for request, gathering, answer in zip(requests, gathered, first, strict=True):
            if gathering.alone:
                yield None
            elif gathering.error is not None:
                yield self.run(*request, Gathering(gathering.error))
            else:
                yield answer


def commit(gathered: Sequence[Gathering]) -> None:
    """Write the rows. Notes in each Gathering if that failed, or if a row was refused."""
    leaving = [each for each in gathered if not each.alone]
    for group in {each.group for each in leaving if each.group is not None}:
        mine = [each for each in leaving if each.group is group]
        try:
            committed = group.put_all([each.row for each in mine])
        except Exception as error:  # noqa: BLE001 - each view tells it in its own way
            for each in mine:
                each.error = error
        else:
            for each in mine:
                each.alone = not committed
