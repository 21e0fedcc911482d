"""IAB Europe's TC string, version 2 (TCF 2.0 to 2.3): the core segment, as far as consent goes.

"Transparency and Consent String with Global Vendor & CMP List Formats", IAB Tech Lab. Read are the purposes and the
vendors consented to. Not read: legitimate interests (ours is consent), publisher restrictions, the other segments.
"""

from __future__ import annotations

from typing import NamedTuple

from ingest.privacy.bits import Bits, Malformed

VERSION = 2
BEFORE_PURPOSES = 36 + 36 + 12 + 12 + 6 + 12 + 12 + 6 + 1 + 1 + 12
"""Created, updated, CMP's id and version, screen, language, vendor list's version, policy's version, two flags, special
features."""
PURPOSES = 24
AFTER_PURPOSES = 24 + 1 + 12
"""Purposes of legitimate interest, purpose one's treatment, publisher's country."""


class Consent(NamedTuple):
    """What the visitor consented to."""

    purposes: frozenset[int]
    vendors: frozenset[int]


def read_tc_string(text: str) -> Consent:
    """The consent in a TC string. Malformed when it is none of version 2."""
    bits = Bits(text.partition(".")[0])
    if (version := bits.take(6)) != VERSION:
        raise Malformed(f"version {version} of the TC string; 2 is read")
    bits.at += BEFORE_PURPOSES
    purposes = bits.flags(PURPOSES)
    bits.at += AFTER_PURPOSES
    return Consent(purposes, vendors(bits))


def vendors(bits: Bits) -> frozenset[int]:
    """A vendor section: a bit a vendor, or ranges."""
    greatest = bits.take(16)
    if not bits.take(1):
        return bits.flags(greatest)
    found: set[int] = set()
    for _ in range(bits.take(12)):
        is_range = bits.take(1)
        first = bits.take(16)
        last = bits.take(16) if is_range else first
        if not first <= last <= greatest:
            raise Malformed(f"vendors {first} to {last} of {greatest}")
        found.update(range(first, last + 1))
    return frozenset(found)
