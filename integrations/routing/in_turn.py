"""Runs a job that calls providers in one thread for each account: an account that hangs delays no other, and
one that fails is set aside.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait

from django.db import connection

from integrations.models import Account
from smsmail.jobs.set_aside import Thing, Work, one_by_one

logger = logging.getLogger(__name__)

# Seconds that a job waits for its threads. Those that hang continue, and their accounts are skipped until
# they end, which the deadlines of their requests ensure.
PATIENCE = 5.0


class Turns:
    """The threads of one job in this process, at most one for each account."""

    def __init__(self, name: str, do: Callable[[Account], bool]) -> None:
        self.name = name
        self.work = Work(name, "account")
        self.do = do
        self._running: dict[int, Future[bool]] = {}
        self._lock = threading.Lock()

    def take(self, accounts: Iterable[Account]) -> bool:
        """Run the job for these accounts. True if one that has finished has more to do at once. Raises what
        one of them raised.
        """
        accounts = list(accounts)
        # another thread would not see what our transaction has written
        if connection.in_atomic_block:
            more = [self._treat(account) for account in accounts]
            return any(more)
        mine = [future for account in accounts if (future := self._start(account)) is not None]
        done, hanging = wait(mine, PATIENCE)
        if hanging:
            logger.warning("%s: %d providers are slow to answer", self.name, len(hanging))
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
        # Daemon threads: a worker that shuts down waits for batches in flight, not for these.
        threading.Thread(
            target=self._run, args=(account, future), name=self.name, daemon=True
        ).start()
        return future

    def _run(self, account: Account, future: Future[bool]) -> None:
        try:
            more = self._treat(account)
        except Exception as error:  # noqa: BLE001 - passed on to whoever waits
            connection.close()
            future.set_exception(error)
        else:
            connection.close()
            future.set_result(more)
