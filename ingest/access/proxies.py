"""Whose request it really is: X-Forwarded-For, -Proto and -Host, believed from the listed proxies alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from ingest.http import RequestHeaders, Scope

Network = IPv4Network | IPv6Network
HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
HOPS = 32
"""Entries of X-Forwarded-For that are looked at, from the right."""


@dataclass(frozen=True, slots=True)
class ForwardedScope:
    """A request as its visitor sent it to the outermost proxy that we believe."""

    method: str
    path: str
    query_string: str
    scheme: str
    client: str
    authority: str | None
    headers: RequestHeaders


class TrustedProxies:
    """Looks behind the listed proxies. One per process."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)
        self.trusts = lru_cache(maxsize=1_024)(self._trusts)

    def behind(self, scope: Scope) -> Scope:
        """The request with the visitor's address, scheme and host; as it is unless its peer is a listed proxy.

        Of X-Forwarded-For the rightmost entry that is no listed proxy counts: all to its left is what the visitor
        wrote. Of the other two the last, which the nearest proxy wrote.
        """
        if not self.trusts(scope.client.rpartition(":")[0].strip("[]")):
            return scope
        headers = scope.headers
        client = self._visitor(headers.get_all("x-forwarded-for")) or scope.client
        proto = last_of(headers.get_all("x-forwarded-proto")).lower()
        host = last_of(headers.get_all("x-forwarded-host"))
        return ForwardedScope(
            scope.method,
            scope.path,
            scope.query_string,
            proto if proto in ("http", "https") else scope.scheme,
            client,
            host if HOST.fullmatch(host) is not None else scope.authority,
            headers,
        )

    def _visitor(self, values: Sequence[str]) -> str | None:
        """``address:port``; None where the header says nothing that can be used."""
        found: IPv4Address | IPv6Address | None = None
        for hop in reversed(",".join(values).split(",")[-HOPS:]):
            address = hop_address(hop)
            if address is None:
                break
            found = address
            if not self.trusts(str(address)):
                break
        if found is None:
            return None
        return f"[{found}]:0" if isinstance(found, IPv6Address) else f"{found}:0"

    def _trusts(self, address: str) -> bool:
        found = hop_address(address)
        return found is not None and any(found in network for network in self._networks)


def last_of(values: Sequence[str]) -> str:
    return values[-1].rpartition(",")[2].strip() if values else ""


def hop_address(hop: str) -> IPv4Address | IPv6Address | None:
    """``203.0.113.9``, ``203.0.113.9:4711``, ``2001:db8::1``, ``[2001:db8::1]:4711``; a mapped IPv4 as IPv4."""
    text = hop.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address
