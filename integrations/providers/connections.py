"""Connections to services, kept open for the next request of a burst: a new one over TLS costs 1.4 ms of CPU
and three journeys, a kept one nothing. A connection is with one thread at a time, which has taken it away
from here, and rests here for IDLE seconds at most.
"""

import io
import os
import select
import socket
import threading
import time
from collections import defaultdict, deque
from typing import Any, NamedTuple

from django.conf import settings
from requests import adapters  # its list of authorities, as for every other request

from smsmail.uptime import clock

from .transport import TooLong, trust

# Seconds that an open connection may rest. Servers close them after five seconds and more, so that one of
# these is hardly ever closed in the moment between the proof and the request.
IDLE = 1.0
# Some servers close a connection after each response without saying so. A request that leaves in that moment is
# in doubt. So until one connection has borne a second request, each rests for PROOF seconds, after which its end
# would show; and whoever breaks one that was kept gets a new one for each request for DOUBT seconds.
PROOF = 0.05
DOUBT = 600.0


class Origin(NamedTuple):
    scheme: str
    host: str
    port: int


class Connection:
    """An open connection, which sends one request and reads one response at a time."""

    def __init__(self, origin: Origin) -> None:
        """Connect. Raises OSError; ssl.SSLError is one."""
        self.origin = origin
        self.rested_since = 0.0
        self.sock: Any = socket.create_connection(origin[1:], settings.CONNECT_TIMEOUT)
        try:
            # Without this, the end of a long request would wait for the acknowledgement of its beginning.
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                context = trust(adapters.DEFAULT_CA_BUNDLE_PATH)
                self.sock = context.wrap_socket(self.sock, server_hostname=origin.host)
        except BaseException:
            self.sock.close()
            raise
        self.poll = select.poll()
        self.poll.register(self.sock, select.POLLIN)

    def is_sound(self) -> bool:
        """True if the other side has neither closed it nor said anything that nobody has asked for."""
        pending = self.sock.pending() if self.origin.scheme == "https" else 0
        return not pending and not self.poll.poll(0)

    def send(self, request: bytes, until: float) -> None:
        """Send all of it by then (clock() seconds). Raises OSError and TooLong."""
        rest = memoryview(request)
        while rest:
            self.sock.settimeout(_left(until))
            rest = rest[self.sock.send(rest) :]

    def close(self) -> None:
        self.sock.close()


class Incoming(io.RawIOBase):
    """What comes over a connection until a time (clock() seconds). The timeout of a socket would begin again
    with each byte. In the place of a socket for http.client.
    """

    def __init__(self, connection: Connection, until: float) -> None:
        self._sock = connection.sock
        self._until = until
        self._over = False
        self._buffer = _Buffer(self)

    def makefile(self, _mode: str) -> "_Buffer":
        return self._buffer

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if self._over:
            return 0
        self._sock.settimeout(_left(self._until))
        return int(self._sock.recv_into(into))

    def is_read(self) -> bool:
        """Read no more; True if nothing is left of what has come."""
        self._over = True
        return not self._buffer.peek()


class _Buffer(io.BufferedReader):
    def close(self) -> None:
        """Stay open: http.client closes it after the response, and what is left must be seen then."""


def _left(until: float) -> float:
    left = until - clock()
    if left <= 0:
        raise TooLong
    return left


class _Rest:
    """The connections that rest, and the thread that closes them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.by_origin: defaultdict[Origin, deque[Connection]] = defaultdict(deque)
        self.proven: set[Origin] = set()
        self.doubted_until: dict[Origin, float] = {}
        self.sweeper: threading.Thread | None = None

    def take(self, origin: Origin) -> Connection | None:
        """The one that rests for the shortest time: the others grow old and are closed. Of an origin that is
        not proven, the one that rests for the longest.
        """
        with self.lock:
            resting = self.by_origin.get(origin)
            if not resting:
                return None
            if origin in self.proven:
                return resting.pop()
            return resting.popleft() if clock() - resting[0].rested_since >= PROOF else None

    def bore(self, origin: Origin) -> None:
        self.proven.add(origin)

    def broke(self, origin: Origin) -> None:
        with self.lock:
            self.proven.discard(origin)
            self.doubted_until[origin] = clock() + DOUBT

    def may_keep(self, origin: Origin) -> bool:
        return clock() >= self.doubted_until.get(origin, 0.0)

    def give(self, connection: Connection) -> None:
        with self.lock:
            connection.rested_since = clock()
            self.by_origin[connection.origin].append(connection)
            if self.sweeper is None:
                self.sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)
                self.sweeper.start()

    def _sweep(self) -> None:
        """Close what has rested for too long, until nothing rests: one thread for the process."""
        while True:
            time.sleep(IDLE / 2)
            with self.lock:
                old = [each for origin in list(self.by_origin) for each in self._old(origin)]
                if not self.by_origin:
                    self.sweeper = None
            for each in old:
                each.close()
            if self.sweeper is not threading.current_thread():
                return

    def close(self) -> None:
        with self.lock:
            for resting in self.by_origin.values():
                for each in resting:
                    each.close()
            self.by_origin.clear()

    def _old(self, origin: Origin) -> list[Connection]:
        """Take away those of this origin that have rested for too long."""
        resting, old = self.by_origin[origin], []
        while resting and clock() - resting[0].rested_since > IDLE:
            old.append(resting.popleft())
        if not resting:
            del self.by_origin[origin]
        return old


_rest = _Rest()


def kept(origin: Origin) -> Connection | None:
    """Take away a connection that is open and proven to be so; None if there is none."""
    while (connection := _rest.take(origin)) is not None:
        if clock() - connection.rested_since <= IDLE and connection.is_sound():
            return connection
        connection.close()
    return None


def keep(connection: Connection, *, again: bool) -> None:
    """Let it rest, after its response was read to the end. again: it was a kept one."""
    if again:
        _rest.bore(connection.origin)
    if _rest.may_keep(connection.origin):
        _rest.give(connection)
    else:
        connection.close()


def broke(connection: Connection) -> None:
    """Close a kept connection over which a request has failed."""
    connection.close()
    _rest.broke(connection.origin)


def forget() -> None:
    """Close all that rest, and forget what is known of their origins, as a restart does."""
    global _rest
    before, _rest = _rest, _Rest()
    before.close()


def _forget() -> None:
    """In a new process: these are its parent's, who goes on using them."""
    global _rest
    _rest = _Rest()


os.register_at_fork(after_in_child=_forget)
