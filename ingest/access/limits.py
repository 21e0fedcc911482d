"""Token buckets, many of them, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from ingest.access.config import RateLimit

BUCKETS = 100_000
"""Names that are remembered (some 25 MB). Whoever is forgotten starts with a full bucket."""


class TokenBuckets:
    """One bucket per name, each full at first."""

    def __init__(self, limit: RateLimit, buckets: int = BUCKETS) -> None:
        self.limit = limit
        self._per_ms = limit.per_second / 1_000
        self._burst = float(limit.burst)
        self._most = buckets
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, name: str, now: int) -> float:
        """Take one at the millisecond ``now``. 0.0 when there was one, else the seconds until there will be."""
        found = self._left.get(name)
        if found is None:
            left = self._burst
        else:
            left = min(self._burst, found[0] + max(now - found[1], 0) * self._per_ms)
            self._left.move_to_end(name)
        short = 1.0 - left
        self._left[name] = (left if short > 0 else left - 1.0, now)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return short / self._per_ms / 1_000 if short > 0 else 0.0


def limited_name(address: str) -> str | None:
    """Whose bucket an address takes from: its own, of IPv6 its /64's. None for this machine, which has no limit."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if found.is_loopback:
        return None
    if isinstance(found, IPv6Address):
        return str(IPv6Address(int(found) >> 64 << 64))
    return str(found)
