"""Avro object containers around bodies that are never decoded (Avro 1.12 specification, "Object container files").

Every record is a block of its own, so a body with too few bytes cannot eat into its neighbour and be read as something
else: its block ends, and ClickHouse refuses it. That costs ClickHouse nothing that could be measured.

In front of each body stand two fields more than its schema has, the record's place in Kafka. An Avro record is the
concatenation of its fields, so two numbers put before the body and two fields put before the schema's are enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache

from schemas.codec import FRAME_BYTES, locked_schemas
from sinks.clickhouse.rows import Row

MAGIC = b"Obj\x01"
SYNC = bytes.fromhex("6163637265646974bd1c1f35a20e4c71")  # any 16 bytes; fixed, so that equal rows are equal bytes
ONE_RECORD = b"\x02"  # the count 1 as a zigzag varint
POSITION = ("kafka_partition", "kafka_offset")
SHORT = 16_384  # lengths whose varint is looked up


def varint(number: int) -> bytes:
    """A non-negative number as Avro writes it: zigzag, then seven bits a byte, low ones first."""
    return unsigned_varint(number << 1)


def unsigned_varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


LENGTHS = tuple(varint(length) for length in range(SHORT))
LOW_BITS = tuple(bytes([low << 1 | 0x80]) for low in range(64))
"""First byte of an offset's varint; the others change every 64 offsets only, and are kept."""


@cache
def columns(schema_id: int) -> tuple[str, ...]:
    """The columns that a container of this schema fills, in its order."""
    return (*POSITION, *(field["name"] for field in json.loads(locked_schemas()[schema_id].text)["fields"]))


@cache
def header(schema_id: int) -> bytes:
    """What stands before the blocks: the schema's JSON with its logical types, and the sync marker."""
    described = json.loads(locked_schemas()[schema_id].text)
    described["fields"] = [
        {"name": POSITION[0], "type": "int"},
        {"name": POSITION[1], "type": "long"},
        *described["fields"],
    ]
    meta = {b"avro.schema": json.dumps(described, separators=(",", ":")).encode(), b"avro.codec": b"null"}
    entries = b"".join(varint(len(key)) + key + varint(len(value)) + value for key, value in meta.items())
    return MAGIC + varint(len(meta)) + entries + b"\0" + SYNC


def container(schema_id: int, rows: Iterable[Row]) -> bytes:
    """The rows, all framed under this schema, as one Avro file. Without rows it is the header alone."""
    pieces = [header(schema_id)]
    add = pieces.extend
    partitions: dict[int, bytes] = {}
    highs: dict[int, bytes] = {0: b"\0"}
    for partition, offset, value, _, _ in rows:
        place = partitions.get(partition)
        if place is None:
            place = partitions[partition] = varint(partition)
        high = highs.get(offset >> 6)
        if high is None:
            high = highs[offset >> 6] = unsigned_varint(offset >> 6)
        position = place + LOW_BITS[offset & 63] + high
        size = len(position) + len(value) - FRAME_BYTES
        length = LENGTHS[size] if size < SHORT else varint(size)
        add((ONE_RECORD, length, position, value[FRAME_BYTES:], SYNC))
    return b"".join(pieces)
