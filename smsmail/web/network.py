"""Where a request comes from. What we keep is the network, never the whole address; what we count by
are several networks, because one guest of IPv6 holds millions of addresses.
"""

import ipaddress

from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PREFIX = {4: 24, 6: 48}
# From one guest's own to what a provider hands to a customer; the last is the one that is kept.
COUNTED = {4: (32, 24), 6: (64, 56, 48)}
LONGEST = 80  # characters: "[" IPv6 "%" zone "]" ":" port


def address(text: str) -> Address | None:
    """Of an address as proxies write it: with a port, in brackets, with a zone, IPv4 inside IPv6."""
    text = text.strip().strip('"')
    if not text or len(text) > LONGEST:
        return None
    try:
        return plain(ipaddress.ip_address(_without_port(text)))
    except ValueError:
        return None


def plain(found: Address) -> Address:
    """IPv4 that came as IPv6 is IPv4; a zone says nothing to us."""
    if isinstance(found, ipaddress.IPv6Address):
        return found.ipv4_mapped or ipaddress.IPv6Address(int(found))
    return found


def _without_port(text: str) -> str:
    if text.startswith("["):
        inside, closed, port = text[1:].partition("]")
        return inside if closed and _is_port(port) else ""
    host, colon, port = text.rpartition(":")
    if colon and ":" not in host:  # or the colon is one of IPv6
        return host if _is_port(f":{port}") else ""
    return text


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isdecimal() and text.isascii())


def network_of(request: HttpRequest) -> str:
    """ "192.0.2.0/24" or "2001:db8:1::/48"; '' when the address is not known."""
    found = address(request.META.get("REMOTE_ADDR", ""))
    return _network(found, PREFIX[found.version]) if found else ""


def networks_of(request: HttpRequest) -> tuple[str, ...]:
    """All that tries are counted by, the narrowest first. An address that is not known is one of its
    own kind: whoever comes without is counted together.
    """
    found = address(request.META.get("REMOTE_ADDR", ""))
    if found is None:
        return ("",)
    return tuple(_network(found, prefix) for prefix in COUNTED[found.version])


def _network(found: Address, prefix: int) -> str:
    return str(ipaddress.ip_network((found, prefix), strict=False))
