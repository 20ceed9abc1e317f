"""The clock of a worker, set wrong while it runs: by as many seconds as the file of CRASH_CLOCK says.

Only what tells the hour is moved; the seconds since the start of the machine go on as they do when NTP
steps a real clock. (libfaketime moves sleeps as well, and Python's fail with it.)
"""

import os
import threading
import time
from pathlib import Path

import time_machine

LOOK = 0.05  # seconds


def follow(path: str) -> None:
    """Set the clock before anything runs, and again whenever the file changes."""
    clock = _Clock(Path(path))
    clock.look()
    threading.Thread(target=clock.run, name="wrong clock", daemon=True).start()


def put(path: Path, seconds: float) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(str(seconds))
    os.replace(draft, path)


class _Clock:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.ahead = 0.0
        self.traveller: time_machine.travel | None = None

    def look(self) -> None:
        ahead = float(self.path.read_text()) if self.path.exists() else 0.0
        if ahead == self.ahead:
            return
        self.ahead = ahead
        if self.traveller is not None:
            self.traveller.stop()
        self.traveller = time_machine.travel(time.time() + ahead)  # which is right again by now
        self.traveller.start()

    def run(self) -> None:
        while True:
            time.sleep(LOOK)
            self.look()
