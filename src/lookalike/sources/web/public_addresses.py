"""Resolving host names, and telling public addresses from private ones."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NOT_PUBLIC = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments; one cloud's metadata service is here
    IPv4Network("192.88.99.0/24"),  # the former 6to4 relay
    IPv4Network("168.63.129.16/32"),  # one cloud's internal services, at a public address
)
"""Private ranges beyond those that `ipaddress` knows."""
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def resolve(host: str) -> list[str]:
    """Returns the addresses of a host name, from the system's resolver."""
    entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in entries))


def is_public(address: str) -> bool:
    """Returns whether an address belongs to the public internet, judging by its range.

    An IPv4 address embedded in an IPv6 one (mapped, 6to4, Teredo, NAT64) is judged as itself.
    """
    try:
        return _is_public(ip_address(address))
    except ValueError:  # for example one with a zone, which is link-local
        return False


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        embedded = _embedded(address)
        if embedded:
            return all(map(_is_public, embedded))
        if address not in _GLOBAL_UNICAST:
            return False
    elif any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _embedded(address: IPv6Address) -> Sequence[IPv4Address]:
    """Returns the IPv4 addresses embedded in an IPv6 address."""
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    inner = address.ipv4_mapped or address.sixtofour
    return (inner,) if inner else address.teredo or ()
