"""A job that asks services, one account in each thread: one that hangs keeps no other waiting, and one
with which something is wrong is set aside.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait

from django.db import connection

from integrations.models import Account
from smsmail.jobs.set_aside import Thing, Work, one_by_one

logger = logging.getLogger(__name__)

# A job waits so long for its threads; those that hang go on, and their accounts are left out until they
# end. That they end, the deadlines of their requests see to.
PATIENCE = 5.0


class Turns:
    """The threads of one job in this process, at most one for an account."""

    def __init__(self, name: str, do: Callable[[Account], bool]) -> None:
        self.name = name
        self.work = Work(name, "account")
        self.do = do
        self._running: dict[int, Future[bool]] = {}
        self._lock = threading.Lock()

    def take(self, accounts: Iterable[Account]) -> bool:
        """True when one of those that have answered has more to ask at once. Raises what one has raised."""
        accounts = list(accounts)
        if connection.in_atomic_block:  # no other thread would see what our transaction has written
            more = [self._treat(account) for account in accounts]
            return any(more)
        mine = [future for account in accounts if (future := self._start(account)) is not None]
        done, hanging = wait(mine, PATIENCE)
        if hanging:
            logger.warning("%s: %d services are long in answering", self.name, len(hanging))
        more = [future.result() for future in done]
        return any(more)

    def _treat(self, account: Account) -> bool:
        thing = Thing(account.id, f"account {account.provider}")
        return one_by_one(self.work, [thing], lambda _id: self.do(account))

    def _start(self, account: Account) -> Future[bool] | None:
        with self._lock:
            running = self._running.get(account.id)
            if running is not None and not running.done():
                return None
            future: Future[bool] = Future()
            self._running[account.id] = future
        # Daemons: a worker that is told to end waits for batches in the air, not for these.
        threading.Thread(
            target=self._run, args=(account, future), name=self.name, daemon=True
        ).start()
        return future

    def _run(self, account: Account, future: Future[bool]) -> None:
        try:
            more = self._treat(account)
        except Exception as error:  # noqa: BLE001 - handed on to whoever waits
            connection.close()
            future.set_exception(error)
        else:
            connection.close()
            future.set_result(more)
