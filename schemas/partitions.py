"""Kafka's murmur2 (``PARTITIONER``), and keys that are born in a partition of our choice.

Every step of murmur2 can be taken back, so the last four bytes of a key follow from the hash that it shall have: no
key has to be thrown away for lying elsewhere.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from mypy_extensions import i64  # an int; where this is compiled, one that lies in a register

MASK: Final = 0xFFFFFFFF
POSITIVE: Final = 0x7FFFFFFF
FACTOR: Final = 0x5BD1E995
INVERSE: Final = 0xE59B19BD
"""What undoes a multiplication by ``FACTOR``, modulo 2 to the 32nd."""
KEY_BYTES: Final = 16
START: Final = (0x9747B28C ^ KEY_BYTES) * FACTOR & MASK
WORDS: Final = Struct("<4I")


def scrambled(word: i64) -> i64:
    """What murmur2 makes of four bytes of a key before they change its state."""
    word = word * FACTOR & MASK
    return (word ^ word >> 24) * FACTOR & MASK


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of 16 key bytes, as Kafka's own clients find it. struct.error for another length."""
    state: i64 = START
    for word in WORDS.unpack(key):
        state = (state ^ scrambled(word)) * FACTOR & MASK
    # The loop multiplies once more than murmur2's does, which is murmur2's next step but one.
    state = state * INVERSE & MASK
    state = (state ^ state >> 13) * FACTOR & MASK
    return int(((state ^ state >> 15) & POSITIVE) % partitions)


def born_in(partition: i64, partitions: i64, key: bytes) -> bytes:
    """16 key bytes, random at the end, with the last four such that they lie in ``partition``.

    They stay random but for the choice of the partition: of 74 random bits 71 are left where there are eight.
    """
    first, second, third, last = WORDS.unpack(key)
    chance: i64 = last
    state: i64 = (START ^ scrambled(first)) * FACTOR & MASK
    state = (state ^ scrambled(second)) * FACTOR & MASK
    state = (state ^ scrambled(third)) * FACTOR & MASK
    wanted: i64 = chance & POSITIVE
    wanted += partition - wanted % partitions
    if wanted > POSITIVE:
        wanted -= partitions
    wanted |= chance & ~POSITIVE
    # From the hash back to the last word: the finish of murmur2, then its last step.
    wanted = (wanted ^ wanted >> 15 ^ wanted >> 30) * INVERSE & MASK
    wanted = (wanted ^ wanted >> 13 ^ wanted >> 26 ^ state) * INVERSE & MASK
    return WORDS.pack(first, second, third, (wanted ^ wanted >> 24) * INVERSE & MASK)
