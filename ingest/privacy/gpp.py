"""IAB Tech Lab's Global Privacy Platform string: the header, and the opt-outs of the sections for the United States.

Read are sections 2 (``tcfeuv2``, by `ingest.privacy.tcf`), 6 (``uspv1``) and 7 to 22 (``usnat`` and the states):
whether the visitor opted out of sale, of sharing or of targeted advertising, or has GPC set. A section of another
number (5, Canada) says nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ingest.privacy.bits import Bits, Malformed
from ingest.privacy.tcf import read_tc_string

HEADER_TYPE, VERSION = 3, 1
TCF_EU, US_PRIVACY, US_NATIONAL = 2, 6, 7
OPTED_OUT = 1
GPC_SEGMENT = 1
SECTIONS_LIMIT = 64

OPT_OUTS: Mapping[int, tuple[int, int]] = {
    US_NATIONAL: (18, 3),  # sale, sharing, targeted advertising
    8: (12, 2),  # California: sale, sharing
    9: (12, 2),  # Virginia, and from here on: sale, targeted advertising
    10: (12, 2),  # Colorado
    11: (14, 2),  # Utah
    12: (12, 2),  # Connecticut
    13: (12, 2),  # Florida
    14: (12, 2),  # Montana
    15: (12, 2),  # Oregon
    16: (12, 2),  # Texas
    17: (12, 2),  # Delaware
    18: (14, 2),  # Iowa
    19: (12, 2),  # Nebraska
    20: (12, 2),  # New Hampshire
    21: (12, 2),  # New Jersey
    22: (12, 2),  # Tennessee
}
"""Section to the bit where its opt-outs begin, and how many stand there, two bits each."""


class Choice(NamedTuple):
    """``opted_out``: of sale, sharing or targeted advertising; ``purposes``: consent in a TCF section, None without."""

    opted_out: bool
    purposes: frozenset[int] | None
    vendors: frozenset[int]


def read_sections(text: str) -> dict[int, str]:
    """The sections of a GPP string by number. Malformed."""
    header, *payloads = text.split("~", SECTIONS_LIMIT + 1)
    bits = Bits(header)
    if bits.take(6) != HEADER_TYPE or bits.take(6) != VERSION:
        raise Malformed("not a GPP string of version 1")
    numbers: list[int] = []
    last = 0
    for _ in range(bits.take(12)):
        is_range = bits.take(1)
        first = last + bits.fibonacci()
        last = first + bits.fibonacci() if is_range else first
        if last - first >= SECTIONS_LIMIT:
            raise Malformed(f"sections {first} to {last}")
        numbers += range(first, last + 1)
    if len(numbers) != len(payloads):
        raise Malformed(f"the header names {len(numbers)} sections, {len(payloads)} are there")
    return dict(zip(numbers, payloads, strict=True))


def read_gpp(text: str, applicable: str | None) -> Choice:
    """The choice in a GPP string. Malformed.

    ``applicable`` is ``gpp_sid``: the sections that apply, with commas or underscores; None: all that are there.
    """
    sections = read_sections(text)
    if applicable is not None:
        wanted = set(applicable.replace("_", ",").split(","))
        sections = {number: payload for number, payload in sections.items() if str(number) in wanted}
    opted_out = any(is_opted_out(number, payload) for number, payload in sections.items())
    if TCF_EU not in sections:
        return Choice(opted_out, None, frozenset())
    return Choice(opted_out, *read_tc_string(sections[TCF_EU]))


def is_opted_out(number: int, payload: str) -> bool:
    """Whether a section of the United States says so."""
    if number == US_PRIVACY:
        return payload[2:3].upper() == "Y"
    if number not in OPT_OUTS:
        return False
    core, *others = payload.split(".")
    start, count = OPT_OUTS[number]
    bits = Bits(core)
    bits.take(start)
    if OPTED_OUT in [bits.take(2) for _ in range(count)]:
        return True
    segments = [Bits(other) for other in others]
    return any(segment.take(2) == GPC_SEGMENT and segment.take(1) == 1 for segment in segments)
