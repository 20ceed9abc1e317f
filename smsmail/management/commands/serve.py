"""Runs the whole product on one machine: prepares the database, then starts the web server and the
worker as child processes. All of them end together, and nothing is left if this process is killed.
"""

import contextlib
import ctypes
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from mailings.sending import epoch
from smsmail.jobs import running
from users.access import public_password
from users.models import User

WEB = (
    *(sys.executable, "-m", "granian", "--interface", "asginl", "--http", "1", "--no-ws"),
    *("--host", settings.HOST, "--port", str(settings.PORT), "smsmail.asgi:application"),
)
WORKER = (sys.executable, "manage.py", "runworker")
# The worker may wait for a batch in flight (runworker.py).
PATIENCE = settings.BATCH_DEADLINE + settings.READ_TIMEOUT + 5


NOT_FROM_ELSEWHERE = (
    "This password is public, and others can reach smsmail: from elsewhere it opens nothing. Set another:\n"
    "  .venv/bin/python manage.py owner owner@example.com"
)


class Command(BaseCommand):
    help = "Start smsmail: migrate, a demo school on first start, web server and worker."

    def handle(self, **_options: Any) -> None:
        check_port(settings.HOST, settings.PORT)
        running.say_so()
        try:
            self.make_ready()
        except KeyboardInterrupt:
            raise CommandError("smsmail was stopped before it was ready; start it again") from None
        if supervise({"web": WEB, "worker": WORKER}, self.say):
            raise CommandError("a part of smsmail ended by itself, so all parts were stopped")

    def make_ready(self) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        if settings.EMBEDDED and not User.objects.exists():
            self.first_start()
        elif settings.EMBEDDED:
            self.say("Everything is as you left it: sign in with the same e-mail and password.")
            public = [person.email for person in public_password.people()]
            if public:
                self.say(f"The demo school's: {', '.join(public)}; {public_password.PASSWORD}")
            if public and settings.REACHABLE:
                self.say(NOT_FROM_ELSEWHERE)
        self.say(f"\n  smsmail is at {settings.PUBLIC_URL}/  (Ctrl-C ends it)\n")

    def first_start(self) -> None:
        epoch.is_held()  # the database is empty, so it is new, whatever an older one left beside it
        if settings.DEMO:
            self.say("First start: making a demo school ...")
            call_command("demo_school", stdout=self.stdout)
        else:
            self.say(
                "First start: an empty school. Its owner, with a password printed once, is made by"
            )
            self.say("  .venv/bin/python manage.py owner you@example.com")

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def check_port(host: str, port: int) -> None:
    """Raise CommandError with a sentence now instead of the web server's traceback later."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {host} port {port}: {error.strerror}.\n"
            f"If another program has it, choose a free one: PORT={min(port + 1, 65535)} make run"
        ) from error


Children = dict[str, subprocess.Popen[str]]
Events = queue.SimpleQueue[str]  # the name of a child that has ended, or "" for "end all"


def supervise(commands: dict[str, tuple[str, ...]], say: Callable[[str], None]) -> bool:
    """Run the commands until a signal comes or one of them ends. True if one ended by itself."""
    events: Events = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: events.put(""))
    children = {name: start(command) for name, command in commands.items()}
    readers = [
        threading.Thread(target=pass_on, args=(name, child, say), daemon=True)
        for name, child in children.items()
    ]
    # Separate threads wait and read, because a grandchild may hold a dead child's output open.
    waiters = [
        threading.Thread(target=wait_for, args=(name, child, events), daemon=True)
        for name, child in children.items()
    ]
    for thread in (*readers, *waiters):
        thread.start()
    ended = None
    while ended is None:
        ended = next_event(events)
    end(children, events)
    for thread in readers:
        thread.join(1)
    if ended:
        say(f"{ended} ended by itself with code {children[ended].returncode}")
    return bool(ended)


def next_event(events: Events) -> str | None:
    """Return None after half a second: a signal that arrives just before this thread blocks does not
    end the wait.
    """
    try:
        return events.get(timeout=0.5)
    except queue.Empty:
        return None


def start(command: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start the command in its own process group: Ctrl-C reaches only this process, which ends the
    children in order.
    """
    return subprocess.Popen(  # noqa: S603 - our own commands
        command,
        cwd=settings.BASE_DIR,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
        preexec_fn=die_with_parent,  # no other thread of ours runs yet
    )


def _prctl() -> Callable[..., int] | None:
    return ctypes.CDLL(None).prctl if sys.platform == "linux" else None


PRCTL = _prctl()  # looked up here, because little is allowed between fork and exec
PR_SET_PDEATHSIG = 1
PARENT = os.getpid()


def die_with_parent() -> None:
    """Runs in the child: if this process is killed with -9, Linux asks the child to end. On other
    systems it would stay.
    """
    if PRCTL is not None:
        PRCTL(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != PARENT:
            os._exit(1)


def pass_on(name: str, child: subprocess.Popen[str], say: Callable[[str], None]) -> None:
    """Print a child's lines, each with the child's name before it."""
    for line in child.stdout or ():
        # nobody reads our output; the child must not block because of that
        with contextlib.suppress(OSError):
            say(f"{name:>6} | {line.rstrip()}")


def wait_for(name: str, child: subprocess.Popen[str], events: Events) -> None:
    child.wait()
    events.put(name)


def end(children: Children, events: Events) -> None:
    """Ask all children to end and wait. A second signal, or the end of the wait, kills them at
    once.
    """
    _signal(children, signal.SIGTERM)
    patience = time.monotonic() + PATIENCE
    while any(child.poll() is None for child in children.values()):
        if time.monotonic() > patience or next_event(events) == "":
            break
    _signal(children, signal.SIGKILL)  # also kills what a child left in its group
    for child in children.values():
        child.wait()


def _signal(children: Children, number: int) -> None:
    for child in children.values():
        with contextlib.suppress(ProcessLookupError):  # the whole group has ended
            os.killpg(child.pid, number)
