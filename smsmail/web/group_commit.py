"""Writes what several threads bring at the same time in one statement. Whoever comes while others write goes with
the next group, and everybody waits for the commit of their own: nothing is acknowledged before it is committed.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from .outages import is_outage

T = TypeVar("T")
Row = TypeVar("Row")
Result = TypeVar("Result")

MOST = 100  # rows of one statement; a process has fewer threads


class NotCommitted(OperationalError):
    """Another thread could not write this row, or did not within the patience. It may have been committed."""


class _Group(Generic[Row, Result]):
    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)
        # Of those who wait. A lock each: half of the CPU time of one event for all.
        self.gates: list[threading.Lock] = []
        self.results: list[Result] = []  # one, when the group is committed
        self.error: BaseException | None = None


class GroupCommit(Generic[Row, Result]):
    """write: writes and commits all rows in the calling thread, and returns one result for all of them. It
    limits its own time. patience: the seconds for which a thread waits for others, whatever happens to them.
    """

    def __init__(self, write: Callable[[Sequence[Row]], Result], patience: float) -> None:
        self.write = write
        self.patience = patience
        self._lock = threading.Lock()  # guards _open and its lists, for microseconds
        self._open: _Group[Row, Result] | None = None
        self._writing = threading.Lock()  # held by the one thread that writes
        self._failures = 0

    def put(self, row: Row) -> Result:
        """Return the result when the row is committed. Raises what write() has raised to the thread that
        wrote, and NotCommitted to all others of its group.
        """
        gate = None
        with self._lock:
            group = self._open
            if group is None or len(group.rows) >= MOST:
                group = self._open = _Group(row)
            else:
                gate = threading.Lock()
                gate.acquire()
                group.gates.append(gate)
                group.rows.append(row)
        if gate is None:
            return self._lead(group)
        if not gate.acquire(timeout=self.patience) or not group.results:
            raise NotCommitted("not committed by another thread") from group.error
        return group.results[0]

    def put_all(self, rows: Sequence[Row]) -> Result:
        """Do the same for several rows of the calling thread, at most MOST."""
        return self._lead(_Group(*rows))

    def _lead(self, group: _Group[Row, Result]) -> Result:
        """Write the group when the one before it is written; until then others may join."""
        failures = self._failures
        try:
            if not self._writing.acquire(timeout=self.patience):
                raise NotCommitted("the group before takes too long")
            try:
                # So nobody waits twice for a database that is away or locked.
                if self._failures != failures:
                    raise NotCommitted("the group before has failed")
                self._close(group)
                result = self.write(group.rows)
            except Exception as error:
                self._failures += is_outage(error)
                raise
            finally:
                self._writing.release()
            group.results.append(result)
            return result
        except BaseException as error:
            group.error = error
            raise
        finally:
            self._close(group)
            for gate in group.gates:
                gate.release()

    def _close(self, group: _Group[Row, Result]) -> None:
        with self._lock:
            if self._open is group:
                self._open = None


def on_live_connection(write: Callable[[], T]) -> T:
    """Do it without Django's check of the connection, which is a statement of its own for every request. If
    the server has ended the connection since, do it again on a new one.
    """
    connection.health_check_done = True  # type: ignore[attr-defined]
    try:
        return write()
    except (DatabaseError, InterfaceError):
        if connection.connection is None or connection.in_atomic_block or connection.is_usable():
            raise
        connection.close()
        return write()
