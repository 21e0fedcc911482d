"""TC and GPP strings written by the specifications' tables, for tests of their readers."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.privacy.bits import ALPHABET

FIELDS = ((2, 6), (15_000_000_000, 36), (15_000_000_000, 36), (31, 12), (1, 12), (1, 6), (0x105, 12), (48, 12), (2, 6))
"""Value and bits of what stands before the consents."""


def number(value: int, count: int) -> str:
    return f"{value:0{count}b}"


def flags(numbers: Iterable[int], count: int) -> str:
    there = set(numbers)
    return "".join("1" if n in there else "0" for n in range(1, count + 1))


def base64url(bits: str) -> str:
    bits += "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def tc_string(purposes: Iterable[int], vendors: Iterable[int], *, ranges: bool = False) -> str:
    """A core segment; ``ranges``: vendors as ranges rather than as a bit field."""
    there = sorted(set(vendors))
    greatest = there[-1] if there else 0
    bits = "".join(number(value, count) for value, count in FIELDS) + "00" + flags([], 12)
    bits += flags(purposes, 24) + flags([], 24) + "0" + number(0x105, 12) + number(greatest, 16)
    if not ranges:
        return base64url(bits + "0" + flags(there, greatest))
    runs: list[list[int]] = []
    for vendor in there:
        if runs and runs[-1][1] == vendor - 1:
            runs[-1][1] = vendor
        else:
            runs.append([vendor, vendor])
    bits += "1" + number(len(runs), 12)
    for first, last in runs:
        bits += "0" + number(first, 16) if first == last else "1" + number(first, 16) + number(last, 16)
    return base64url(bits)


def fibonacci(value: int) -> str:
    """Fibonacci coding of a number from 1."""
    weights = [1, 2]
    while weights[-1] <= value:
        weights.append(weights[-1] + weights[-2])
    digits = ""
    for weight in reversed(weights[:-1]):
        digits = ("1" if weight <= value else "0") + digits
        value -= weight if weight <= value else 0
    return digits + "1"


def gpp_string(sections: dict[int, str]) -> str:
    """A GPP string whose header names each section by itself."""
    bits, last = number(3, 6) + number(1, 6) + number(len(sections), 12), 0
    for section in sorted(sections):
        bits += "0" + fibonacci(section - last)
        last = section
    return "~".join([base64url(bits), *(sections[section] for section in sorted(sections))])
