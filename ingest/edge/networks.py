"""Whether an address is in one of many networks: exact, in one bisection."""

from __future__ import annotations

import ipaddress
import socket
from bisect import bisect_right
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

DATACENTERS = "datacenters.txt"
MAPPED = b"\0" * 10 + b"\xff\xff"


def packed(address: str) -> bytes | None:
    """4 or 16 bytes in network order; None for what is no address. An IPv4 address inside IPv6 is IPv4."""
    try:
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)
        found = socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        return None
    return found[12:] if found.startswith(MAPPED) else found


class Networks:
    """Networks of both families, as sorted runs that do not touch."""

    def __init__(self, cidrs: Iterable[str]) -> None:
        """ValueError names what is not a network."""
        found = [ipaddress.ip_network(cidr) for cidr in cidrs]
        v4 = ipaddress.collapse_addresses(n for n in found if isinstance(n, ipaddress.IPv4Network))
        v6 = ipaddress.collapse_addresses(n for n in found if isinstance(n, ipaddress.IPv6Network))
        # Addresses of one family have one length, so bytes compare as the numbers they stand for.
        self._runs = {
            4: sorted((n.network_address.packed, n.broadcast_address.packed) for n in v4),
            16: sorted((n.network_address.packed, n.broadcast_address.packed) for n in v6),
        }
        self._starts = {size: [start for start, _ in runs] for size, runs in self._runs.items()}

    def __contains__(self, address: bytes) -> bool:
        """``address`` is `packed`."""
        size = len(address)
        at = bisect_right(self._starts[size], address)
        return at > 0 and address <= self._runs[size][at - 1][1]


def read_networks(path: Path) -> Networks:
    """One CIDR a line, ``#`` begins a comment. ValueError, OSError."""
    return parse_networks(path.read_text(encoding="utf-8"))


def parse_networks(text: str) -> Networks:
    """See `read_networks`."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return Networks(line for line in lines if line)


def datacenters() -> Networks:
    """Those that come with Accredit."""
    return parse_networks((resources.files("ingest.edge") / DATACENTERS).read_text(encoding="utf-8"))
