"""Kafka's murmur2 (``PARTITIONER``), and keys that are born in a partition of our choice.

Every step of murmur2 can be taken back, so the last four bytes of a key follow from the hash that it shall have: no
key has to be thrown away for lying elsewhere.
"""

from __future__ import annotations

from struct import Struct

MASK = 0xFFFFFFFF
POSITIVE = 0x7FFFFFFF
FACTOR = 0x5BD1E995
INVERSE = pow(FACTOR, -1, 1 << 32)
KEY_BYTES = 16
START = (0x9747B28C ^ KEY_BYTES) * FACTOR & MASK
WORDS = Struct("<4I")


def scrambled(word: int) -> int:
    """What murmur2 makes of four bytes of a key before they change its state."""
    word = word * FACTOR & MASK
    return (word ^ word >> 24) * FACTOR & MASK


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of 16 key bytes, as Kafka's own clients find it. struct.error for another length."""
    state = START
    for word in WORDS.unpack(key):
        state = (state ^ scrambled(word)) * FACTOR & MASK
    # The loop multiplies once more than murmur2's does, which is murmur2's next step but one.
    state = state * INVERSE & MASK
    state = (state ^ state >> 13) * FACTOR & MASK
    return ((state ^ state >> 15) & POSITIVE) % partitions


def born_in(partition: int, partitions: int, key: bytes) -> bytes:
    """16 key bytes, random at the end, with the last four such that they lie in ``partition``.

    They stay random but for the choice of the partition: of 74 random bits 71 are left where there are eight.
    """
    first, second, third, chance = WORDS.unpack(key)
    state = (START ^ scrambled(first)) * FACTOR & MASK
    state = (state ^ scrambled(second)) * FACTOR & MASK
    state = (state ^ scrambled(third)) * FACTOR & MASK
    wanted = chance & POSITIVE
    wanted += partition - wanted % partitions
    if wanted > POSITIVE:
        wanted -= partitions
    wanted |= chance & ~POSITIVE
    # From the hash back to the last word: the finish of murmur2, then its last step.
    wanted = (wanted ^ wanted >> 15 ^ wanted >> 30) * INVERSE & MASK
    last = (wanted ^ wanted >> 13 ^ wanted >> 26 ^ state) * INVERSE & MASK
    return WORDS.pack(first, second, third, (last ^ last >> 24) * INVERSE & MASK)
