"""Where a request comes from, as far as we keep it: the network, never the whole address."""

import ipaddress

from django.http import HttpRequest

PREFIX = {4: 24, 6: 48}


def network_of(request: HttpRequest) -> str:
    """ "192.0.2.0/24" or "2001:db8:1::/48"; '' when the address is not known."""
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, PREFIX[address.version]), strict=False))
