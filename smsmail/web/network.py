"""Where a request comes from. We store only the network, never the whole address. Attempts are counted for
several networks, because a single IPv6 user holds millions of addresses.
"""

import ipaddress
from functools import lru_cache

from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PREFIX = {4: 24, 6: 48}
# From one user's own network to what an internet provider assigns to a customer; the last one is
# stored.
COUNTED = {4: (32, 24), 6: (64, 56, 48)}
LONGEST = 80  # characters: "[" IPv6 "%" zone "]" ":" port


def address(text: str) -> Address | None:
    """Parse an address as proxies write it: with a port, in brackets, with a zone, IPv4 inside IPv6.
    None if it is invalid.
    """
    text = text.strip().strip('"')
    return _read(text) if text and len(text) <= LONGEST else None


# Of a request, the address is read up to three times, and each time took 10 microseconds.
@lru_cache(maxsize=4096)
def _read(text: str) -> Address | None:
    try:
        return plain(ipaddress.ip_address(_without_port(text)))
    except ValueError:
        return None


def plain(found: Address) -> Address:
    """Turn IPv4 mapped into IPv6 back into IPv4, and drop the zone."""
    if isinstance(found, ipaddress.IPv6Address):
        return found.ipv4_mapped or ipaddress.IPv6Address(int(found))
    return found


def _without_port(text: str) -> str:
    if text.startswith("["):
        inside, closed, port = text[1:].partition("]")
        return inside if closed and _is_port(port) else ""
    host, colon, port = text.rpartition(":")
    if colon and ":" not in host:  # otherwise the colon belongs to an IPv6 address
        return host if _is_port(f":{port}") else ""
    return text


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isdecimal() and text.isascii())


def network_of(request: HttpRequest) -> str:
    """Return "192.0.2.0/24" or "2001:db8:1::/48"; '' if the address is unknown."""
    found = address(request.META.get("REMOTE_ADDR", ""))
    return _network(found, PREFIX[found.version]) if found else ""


def networks_of(request: HttpRequest) -> tuple[str, ...]:
    """Return all networks that attempts are counted by, the narrowest first. All requests with an
    unknown address are counted together.
    """
    found = address(request.META.get("REMOTE_ADDR", ""))
    if found is None:
        return ("",)
    return tuple(_network(found, prefix) for prefix in COUNTED[found.version])


@lru_cache(maxsize=4096)
def _network(found: Address, prefix: int) -> str:
    return str(ipaddress.ip_network((found, prefix), strict=False))
