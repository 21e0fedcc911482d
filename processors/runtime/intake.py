"""From the records of one part to rows of the store: the frame check, and what fails it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set
from functools import cache
from typing import NamedTuple

from processors.runtime.evaluate import read_conversion
from processors.runtime.partition import Part
from processors.store.touch_store import SESSION_BYTES, Row, row_key
from schemas.codec import FRAME_BYTES, locked_schemas, schema_of
from schemas.errors import BadFrame
from schemas.ids import session_key
from schemas.topics import CLICKS


class Refused(NamedTuple):
    """A record that is not stored: which, and why."""

    offset: int
    record_at: int
    key: bytes | None
    value: bytes | None
    reason: str
    detail: str


class Intake(NamedTuple):
    """``rows`` for the store, ``sessions`` whose credits they may change, and what was refused.

    A conversion changes nothing but its own credit; of a session with a new touch (None) all credits change, since an
    explanation lists every touch and a version counts them.
    """

    rows: list[Row]
    sessions: Mapping[bytes, Set[str] | None]
    refused: list[Refused]


@cache
def frames(name: str) -> frozenset[bytes]:
    """The leading five bytes of every locked schema of that name."""
    return frozenset(schema.frame for schema in locked_schemas().values() if schema.name == name)


def take(part: Part, converted: Set[bytes]) -> Intake:
    """The rows of a part. ``converted``: the sessions that already have a conversion."""
    return take_clicks(part, converted) if part.topic == CLICKS else take_conversions(part)


def take_clicks(part: Part, converted: Set[bytes]) -> Intake:
    """Clicks are not decoded: key and time come from the record, and of the value only the frame is looked at."""
    rows: list[Row] = []
    add = rows.append
    known = frames("click")
    refused: list[Refused] = []
    sessions: dict[bytes, None] = {}
    for record in part.records:
        key = record.key
        value = record.value
        if key is None or value is None or len(key) != SESSION_BYTES or value[:FRAME_BYTES] not in known:
            refused.append(refuse(record.offset, record.timestamp, key, value, "click"))
            continue
        add((row_key(key, record.timestamp, value), value))
        if key in converted:
            sessions[key] = None
    return Intake(rows, sessions if part.live else {}, refused)


def take_conversions(part: Part) -> Intake:
    """Conversions are few and decoded on the way in: one that cannot be read is told at once."""
    rows: list[Row] = []
    sessions: dict[bytes, set[str]] = defaultdict(set)
    refused: list[Refused] = []
    for record in part.records:
        key, value = record.key, record.value
        if key is None or value is None or len(key) != SESSION_BYTES or value[:FRAME_BYTES] not in frames("conversion"):
            refused.append(refuse(record.offset, record.timestamp, key, value, "conversion"))
            continue
        problem = unreadable(key, value)
        if problem is not None:
            refused.append(Refused(record.offset, record.timestamp, key, value, *problem))
            continue
        rows.append((row_key(key, record.timestamp, value), value))
        sessions[key].add(read_conversion(value).conversion_id)
    return Intake(rows, sessions if part.live else {}, refused)


def unreadable(key: bytes, value: bytes) -> tuple[str, str] | None:
    """Reason and detail of a conversion that cannot be used, else None."""
    try:
        conversion = read_conversion(value)
    except BadFrame as error:
        return error.reason, error.detail
    try:
        session = session_key(conversion.session_id)
    except ValueError:
        return "INVALID_FIELD", f"session_id {conversion.session_id!r} is not a UUID"
    if session != key:
        return "KEY_MISMATCH", f"the record's key is {key.hex()}, its session_id {conversion.session_id}"
    return None


def refuse(offset: int, at: int, key: bytes | None, value: bytes | None, name: str) -> Refused:
    """Why a record is not one of schema ``name`` under a session."""
    try:
        schema = schema_of(value)
    except BadFrame as error:
        return Refused(offset, at, key, value, error.reason, error.detail)
    if schema.name != name:
        return Refused(offset, at, key, value, "WRONG_SCHEMA", f"a {schema.name} in the topic of {name}s")
    length = "no key" if key is None else f"a key of {len(key)} bytes"
    return Refused(offset, at, key, value, "BAD_KEY", f"{length}; the key is the 16 bytes of the session")
