"""The embedded worker, with small batches, that can kill itself at a named point.

CRASH_AT is "module:function:before|after|fruitful"; fruitful is after a call that found work.
The function is the real one; the wrapper only counts down to SIGKILL.
"""

import os
import signal
import sys
import time
from datetime import timedelta
from importlib import import_module
from typing import Any

import django
from django.core.management import call_command

from tests.crash import wrong_clock

BOOKS = (("PAGE", 1000), ("PAGES", 100))


def main() -> None:
    django.setup()
    from integrations.providers import REGISTRY
    from integrations.providers.smsc import lookup
    from mailings.lifecycle import on_entry
    from mailings.sending import prepare

    for provider in REGISTRY:
        provider.batch = int(os.environ["CRASH_BATCH"])
    lookup.PAGE, lookup.PAGES = (int(os.environ.get(f"CRASH_{name}", most)) for name, most in BOOKS)
    prepare.CHUNK = on_entry.CHUNK = int(os.environ["CRASH_CHUNK"])
    on_entry.EVERY = timedelta(seconds=1)
    if pause := float(os.environ.get("CRASH_PAUSE", "0")):
        take_time(prepare, "prepare_some", pause)
    if clock := os.environ.get("CRASH_CLOCK"):
        wrong_clock.follow(clock)
    if at := os.environ.get("CRASH_AT"):
        lay_mine(*at.split(":"))
    if sys.argv[1:]:  # a Celery worker of these queues
        from smsmail.celery import app

        queues = ["-Q", sys.argv[1], f"--hostname={sys.argv[1]}{os.getpid()}@%h"]
        app.worker_main(["worker", "--concurrency=2", "--loglevel=WARNING", *queues])
    else:
        call_command("runworker")


def take_time(module: Any, name: str, pause: float) -> None:
    """So that something can happen in the middle of it."""
    real = getattr(module, name)

    def slow(*args: Any) -> Any:
        time.sleep(pause)
        return real(*args)

    setattr(module, name, slow)


def lay_mine(module: str, name: str, when: str) -> None:
    """Replace the function by one that ends the process, all threads at once, like kill -9."""
    holder: Any = import_module(module)
    *path, last = name.split(".")
    for step in path:
        holder = getattr(holder, step)
    real = getattr(holder, last)

    def mined(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if when == "after" or (when == "fruitful" and result):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(holder, last, mined)


if __name__ == "__main__":
    main()
