"""Accepts X-Forwarded-For and -Proto from TRUSTED_PROXIES only. They may hold anything, because clients write
the beginning of the list themselves.
"""

import ipaddress
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .network import Address, address

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

LONGEST = 2000  # characters of the list that are read, from its end, where our own proxies write
HOPS = 20


class Forwarded:
    """A WSGI application that sets the client's own address (REMOTE_ADDR) and scheme."""

    def __init__(self, application: Application, proxies: Sequence[str]) -> None:
        self.application = application
        self.told = False
        self.trusted = [ipaddress.ip_network(proxy) for proxy in proxies]

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        peer = address(environ.get("REMOTE_ADDR", ""))
        if peer is not None:
            if self.is_trusted(peer):
                peer = self.client(peer, environ.get("HTTP_X_FORWARDED_FOR", ""))
                scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2]
                if scheme.strip().lower() in {"http", "https"}:
                    environ["wsgi.url_scheme"] = scheme.strip().lower()
            elif "HTTP_X_FORWARDED_FOR" in environ and not self.told:
                self.told = True
                logger.warning(
                    "X-Forwarded-For came from an address that is not in TRUSTED_PROXIES. If it is"
                    " your proxy, add it there: otherwise everybody shares one count of wrong passwords."
                )
            environ["REMOTE_ADDR"] = str(peer)
        return self.application(environ, start_response)

    def client(self, peer: Address, header: str) -> Address:
        """Return the nearest hop that is not one of our proxies. If a hop is not an address, nothing
        before it is trusted: the result is the last hop that could be read.
        """
        hops = [hop for hop in header[-LONGEST:].split(",") if hop.strip()]
        if len(header) > LONGEST:
            hops = hops[1:]  # the first entry is cut off
        found = peer
        for hop in reversed(hops[-HOPS:]):
            named = address(hop)
            if named is None:
                break
            found = named
            if not self.is_trusted(named):
                break
        return found

    def is_trusted(self, peer: Address) -> bool:
        # An address of the other IP version is never in it.
        return any(peer in network for network in self.trusted)
