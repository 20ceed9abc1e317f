"""Rows of several threads in one write: together, not before the commit, and nobody hangs."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import OperationalError

from smsmail.web import group_commit
from smsmail.web.group_commit import GroupCommit, NotCommitted
from tests.processes import wait_until


class Table:
    """Takes the rows when it is let, and fails when it is told to."""

    def __init__(self, patience: float = 20) -> None:
        self.written: list[list[str]] = []
        self.begun = 0
        self.let = threading.Event()
        self.error: BaseException | None = None
        self.group: GroupCommit[str, str] = GroupCommit(self.write, patience)

    def write(self, rows: Sequence[str]) -> str:
        self.begun += 1
        assert self.let.wait(20)
        if self.error is not None:
            raise self.error
        self.written.append(list(rows))
        return f"write {len(self.written)}"

    def waiting(self) -> int:
        """How many rows wait for the write that goes on."""
        return len(self.group._open.rows) if self.group._open else 0


Start = Callable[[Table, str], "Future[str]"]


@pytest.fixture
def start() -> Start:
    """Put a row in a thread of its own."""
    threads = ThreadPoolExecutor(12)

    def put(table: Table, row: str) -> "Future[str]":
        return threads.submit(table.group.put, row)

    return put


def piled_up(
    table: Table, start: Start, rows: str = "bcd"
) -> tuple["Future[str]", list["Future[str]"]]:
    """One row is being written, and others wait."""
    first = start(table, "a")
    wait_until(lambda: table.begun == 1)
    others = []
    for row in rows:
        others.append(start(table, row))
        wait_until(lambda: table.waiting() == len(others))
    return first, others


def test_whoever_comes_while_one_writes_goes_together(start: Start) -> None:
    table = Table()
    first, others = piled_up(table, start)
    assert not any(one.done() for one in (first, *others))  # nothing is committed yet
    table.let.set()
    assert first.result(20) == "write 1"
    assert {other.result(20) for other in others} == {"write 2"}
    assert table.written == [["a"], ["b", "c", "d"]]
    assert start(table, "e").result(20) == "write 3"


def test_a_statement_has_a_largest_size(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST", 2)
    table = Table()
    first = start(table, "a")
    wait_until(lambda: table.begun == 1)
    others = [start(table, row) for row in "bcdef"]
    table.let.set()
    assert {one.result(20) for one in (first, *others)} > {"write 1", "write 2", "write 3"}
    assert sorted(row for rows in table.written for row in rows) == [*"abcdef"]
    assert max(len(rows) for rows in table.written) <= 2


@pytest.mark.parametrize("error", [ValueError("a bad row"), SystemExit()])
def test_all_of_a_group_hear_that_it_failed(start: Start, error: BaseException) -> None:
    table = Table()
    first, others = piled_up(table, start)
    table.error = error
    table.let.set()
    said = [one.exception(20) for one in (first, *others)]
    assert [type(one) for one in said].count(type(error)) == 2  # those who wrote
    assert [type(one) for one in said].count(NotCommitted) == 2
    table.error = None
    assert start(table, "e").result(20) == "write 1"


def test_a_database_that_is_away_is_waited_for_once(start: Start) -> None:
    table = Table()
    first, others = piled_up(table, start)
    table.error = OperationalError("away")
    table.let.set()
    assert type(first.exception(20)) is OperationalError
    assert {type(other.exception(20)) for other in others} == {NotCommitted}
    assert table.begun == 1
    table.error = None
    assert start(table, "e").result(20) == "write 1"


def test_nobody_waits_for_ever_for_one_that_hangs(start: Start) -> None:
    table = Table(patience=0.2)
    first, others = piled_up(table, start)
    assert {type(other.exception(20)) for other in others} == {NotCommitted}
    assert not first.done()
    assert type(start(table, "e").exception(20)) is NotCommitted
    table.let.set()
    assert first.result(20) == "write 1"
    assert start(table, "f").result(20) == "write 2"
    assert table.written == [["a"], ["f"]]
