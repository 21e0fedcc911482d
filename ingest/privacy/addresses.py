"""What is left of an address once its country is known."""

from __future__ import annotations

import socket
from functools import lru_cache

from ingest.edge.networks import packed
from ingest.privacy.config import PrivacyConfig
from schemas.sealing import Sealer
from schemas.times import DAY

HASHED = "day-"
"""What a hashed address begins with, so that it is not taken for one."""


class Addresses:
    """Shortens addresses as the policy says."""

    def __init__(self, config: PrivacyConfig, sealer: Sealer | None) -> None:
        self._how = config.address
        self._sealer = sealer

    def kept(self, address: str, now: int) -> str | None:
        """Of an address what may be kept; None of what is none. What is shortened or hashed already stays as it is."""
        if address.startswith(HASHED):
            return address
        if self._how == "drop":
            return None
        if self._how == "truncate" or self._sealer is None:
            return truncated(address)
        if packed(address) is None:
            return None
        return HASHED + self._sealer.daily(now // DAY, address)


@lru_cache(maxsize=16_384)
def truncated(address: str) -> str | None:
    """The network of an address, IPv4 /24 or IPv6 /48; None of what is no address."""
    raw = packed(address)
    if raw is None:
        return None
    if len(raw) == 4:
        return f"{raw[0]}.{raw[1]}.{raw[2]}.0"
    return socket.inet_ntop(socket.AF_INET6, raw[:6] + bytes(10))
