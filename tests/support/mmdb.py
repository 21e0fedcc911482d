"""A MaxMind database of countries, written by the format's specification 2.0: IPv4 networks, 24-bit records."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping


def text(value: str) -> bytes:
    return bytes([2 << 5 | len(value)]) + value.encode()


def number(value: int, kind: int) -> bytes:
    """``kind`` 5 is uint16, 6 uint32, 9 (extended) uint64."""
    raw = value.to_bytes(8, "big").lstrip(b"\0")
    return (bytes([len(raw), kind - 7]) if kind > 7 else bytes([kind << 5 | len(raw)])) + raw


def mapping(pairs: Mapping[str, bytes]) -> bytes:
    return bytes([7 << 5 | len(pairs)]) + b"".join(text(name) + value for name, value in pairs.items())


def country_database(countries: Mapping[str, str]) -> bytes:
    """The file for networks of IPv4 and their countries; none inside another."""
    data, places = b"", {}
    for code in sorted(set(countries.values())):
        places[code] = len(data)
        data += mapping({"country": mapping({"iso_code": text(code)})})
    nodes: list[list[int | str | None]] = [[None, None]]
    for cidr, code in countries.items():
        network = ipaddress.IPv4Network(cidr)
        bits = f"{int(network.network_address):032b}"[: network.prefixlen]
        at = 0
        for bit in bits[:-1]:
            down = nodes[at][int(bit)]
            if down is None:
                nodes.append([None, None])
                down = nodes[at][int(bit)] = len(nodes) - 1
            assert isinstance(down, int)
            at = down
        nodes[at][int(bits[-1])] = code
    count = len(nodes)

    def record(value: int | str | None) -> bytes:
        if isinstance(value, str):
            value = count + 16 + places[value]
        return (count if value is None else value).to_bytes(3, "big")

    tree = b"".join(record(left) + record(right) for left, right in nodes)
    metadata = {
        "binary_format_major_version": number(2, 5),
        "binary_format_minor_version": bytes([5 << 5]),
        "build_epoch": number(1_700_000_000, 9),
        "database_type": text("Test-Country"),
        "description": mapping({}),
        "languages": bytes([0, 11 - 7]),
        "ip_version": number(4, 5),
        "node_count": number(count, 6),
        "record_size": number(24, 5),
    }
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + mapping(metadata)
