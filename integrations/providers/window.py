"""How many requests of an account may be under way in this process, where one takes one message: the number
finds itself by what the service bears. Pure, but for the time.
"""

from smsmail.uptime import clock

from .transport import Answer, Failure, TooLate

START = 20  # requests at once that every service was seen to bear
# A process has CPU for no more. It is below the requests at once of the batches that a process may have in
# flight (HAND_OVER_THREADS times at_once), so that the next batch is there before the one before it ends.
MOST = 128.0
# With each answer until the first trouble: doubled within eight answers of each thread.
GROWTH = 1 / 8
# Once a service said that there are too many, the number stays below for so many seconds: such an answer
# costs the account a cooldown, so it must not be tried out again and again.
REMEMBERED = 600.0
BELOW = 0.9  # of what was too many
FEW = 4.0  # what is refused to fewer is not refused for their number
# Answers that take so many times as long as they did, and SLOW seconds more, show that they stand in a queue.
LONGER = 2.0
SLOW = 0.1
# Seconds. A service may become slower for reasons of its own, and that is its new measure.
FORGOTTEN = 60.0


class Window:
    """The limit grows while it is used up and answers come well, by one for each round of answers after the
    first trouble; it is halved when the service says that there are too many or gives no answer, and a tenth
    smaller when it becomes slow.
    """

    def __init__(self) -> None:
        self._limit = float(START)
        self._most = MOST  # the memory of what was too many,
        self._most_until = 0.0  # and its end
        self._had_trouble = False
        self._changed = 0.0  # when it last became smaller
        self._pace = _Pace()

    @property
    def limit(self) -> int:
        return int(self._limit)

    def learn(self, answer: Answer, began: float, under_way: int) -> None:
        """Learn from an answer. began: clock() seconds when its request began. under_way: how many are,
        with this one.
        """
        now = clock()
        if answer.failure == Failure.WITHHELD or answer.error == TooLate.__name__:
            return  # our own doing
        if answer.status == 429:
            if began > self._changed:
                self._most, self._most_until = max(FEW, under_way * BELOW), now + REMEMBERED
            self._shrink(self._limit / 2, began, now)
        elif answer.failure is not None or answer.status >= 500:
            self._shrink(self._limit / 2, began, now)
        elif self._pace.is_slow(answer.took or 0.0, now):
            # A service may be slow whatever we do, so that alone leaves it what it began with.
            self._shrink(max(self._limit * BELOW, min(START, self._limit)), began, now)
        elif under_way >= self.limit:
            self._grow(now)

    def _shrink(self, to: float, began: float, now: float) -> None:
        """Once for all that were under way together."""
        if began > self._changed:
            self._changed = now
            self._had_trouble = True
            self._limit = max(1.0, to)

    def _grow(self, now: float) -> None:
        most = self._most if now < self._most_until else MOST
        step = 1 / self._limit if self._had_trouble else GROWTH
        self._limit = max(self._limit, min(self._limit + step, most))


class _Pace:
    """How long answers take, and how long they took when they were quickest, of late."""

    def __init__(self) -> None:
        self._mean = 0.0
        self._best = float("inf")
        self._best_before = float("inf")
        self._since = 0.0

    def is_slow(self, took: float, now: float) -> bool:
        self._mean += (took - self._mean) / 16 if self._mean else took
        if now - self._since > FORGOTTEN:
            self._best_before, self._best, self._since = self._best, self._mean, now
        self._best = min(self._best, self._mean)
        return self._mean > LONGER * min(self._best, self._best_before) + SLOW
