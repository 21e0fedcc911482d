"""Events to framed Avro bytes, faster than ``schemas.codec.encode``: some 5 µs a click where that takes 40.

The bytes are the same, to the last one; a contract test holds them equal. It serves the three event records, whose
fields are text, optional text, times and one map of text. A schema that has anything else is refused when it is loaded.
Partners, offers, devices and the like come again and again: their bytes are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from schemas.codec import NAMES, TYPES, current_schema
from schemas.records import Event

SHORT = 64
SHORT_LENGTHS = tuple(bytes([length << 1]) for length in range(SHORT))
NULL = b"\0"
NOT_NULL = b"\2"
KEPT = 4_096
UNIQUE = frozenset({"click_id", "conversion_id", "session_id", "order_id"})
"""Not worth keeping: they hardly come twice."""
SIX_BYTES = 1 << 41
"""Times up to the year 2039 are six bytes."""


@lru_cache(maxsize=KEPT)
def varint(value: int) -> bytes:
    """Avro's long: zigzag, seven bits a byte, least first. A live event's two times are mostly one."""
    rest = (value << 1) ^ (value >> 63)
    if SIX_BYTES >> 6 <= rest < SIX_BYTES << 1:
        return bytes(
            (
                rest & 0x7F | 0x80,
                rest >> 7 & 0x7F | 0x80,
                rest >> 14 & 0x7F | 0x80,
                rest >> 21 & 0x7F | 0x80,
                rest >> 28 & 0x7F | 0x80,
                rest >> 35,
            )
        )
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def text(value: str) -> bytes:
    raw = value.encode()
    return (SHORT_LENGTHS[len(raw)] if len(raw) < SHORT else varint(len(raw))) + raw


def optional_text(value: str) -> bytes:
    """Optional text that is there; what is not there is NULL before any function is called."""
    return NOT_NULL + text(value)


kept_text = lru_cache(maxsize=KEPT)(text)
kept_optional_text = lru_cache(maxsize=KEPT)(optional_text)


def text_map(values: Mapping[str, str]) -> bytes:
    """One block of pairs, then the empty block that ends a map."""
    if not values:
        return NULL
    pairs = [kept_text(name) + text(value) for name, value in values.items()]
    return varint(len(values)) + b"".join(pairs) + NULL


def field_writer(name: str, schema: Any) -> Callable[[Any], bytes]:
    """The function that writes one field. TypeError for a kind of field that no event has."""
    if schema == "long":
        return varint
    if schema == "string":
        return text if name in UNIQUE else kept_text
    if schema == ["null", "string"]:
        return optional_text if name in UNIQUE else kept_optional_text
    if isinstance(schema, Mapping) and schema.get("type") == "map" and schema.get("values") == "string":
        return text_map
    raise TypeError(f"ingest cannot write {name} of {schema!r}; teach ingest.encoding this kind")


@cache
def writer(name: str) -> Callable[[Event], bytes]:
    """The function that writes records of this name under the newest schema of theirs."""
    schema, record = current_schema(name), TYPES[name]
    fields = schema.plain["fields"]
    if tuple(field["name"] for field in fields) != record._fields:
        raise TypeError(f"schema {schema.id} has other fields than {record.__name__}")
    writers = tuple(field_writer(field["name"], field["type"]) for field in fields)
    frame = schema.frame

    def write(event: Event) -> bytes:
        values: Iterable[Any] = event
        pairs = zip(writers, values, strict=True)
        return frame + b"".join([NULL if value is None else write_field(value) for write_field, value in pairs])

    return write


def encode_event(event: Event) -> bytes:
    """A click, conversion or adjustment in Confluent framing under the newest schema of its kind."""
    return writer(NAMES[type(event)])(event)
