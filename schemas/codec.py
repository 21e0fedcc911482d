"""Records to bytes and back: Confluent framing (magic byte, 4 bytes of schema id) around an Avro body.

Ids come from ``avro/lock.json``, which also pins each schema file by its SHA-256, so no registry is needed. An id is
never reused: a changed schema is a new file with a new id, and every id of the lock file stays readable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

from fastavro import parse_schema

from schemas.compiled import Reader, Writer, compile_reader, compile_writer
from schemas.errors import BadFrame
from schemas.records import (
    Adjustment,
    Candidate,
    CatalogVersion,
    Click,
    Conversion,
    Credit,
    DeadLetter,
    Record,
    Settlement,
)

FRAME_BYTES = 5
MAGIC = b"\0"
NAMES: dict[type[Record], str] = {
    Click: "click",
    Conversion: "conversion",
    Adjustment: "adjustment",
    Credit: "credit",
    Settlement: "settlement",
    DeadLetter: "dead_letter",
    CatalogVersion: "catalog_version",
}
TYPES = {name: record for record, name in NAMES.items()}


@dataclass(frozen=True, slots=True)
class LockedSchema:
    """One line of the lock file with its schema: ``text`` as in the file, ``plain`` parsed without logical types.

    Python reads and writes the plain numbers; ClickHouse is sent ``text``, whose logical types make them times.
    """

    id: int
    name: str
    version: int
    text: str
    plain: dict[str, Any]

    @property
    def frame(self) -> bytes:
        """The five bytes in front of every value of this schema."""
        return MAGIC + self.id.to_bytes(4, "big")


def without_logical_types(schema: Any) -> Any:
    """The same schema with bare types, so that fastavro neither builds nor expects datetimes and UUIDs."""
    if isinstance(schema, list):
        return [without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        if "logicalType" in schema:
            return schema["type"]
        return {key: without_logical_types(value) for key, value in schema.items()}
    return schema


@cache
def locked_schemas() -> Mapping[int, LockedSchema]:
    """Every schema that may stand in a topic, by id. ValueError if a file does not match the lock."""
    folder = resources.files("schemas") / "avro"
    found: dict[int, LockedSchema] = {}
    for entry in json.loads((folder / "lock.json").read_text())["schemas"]:
        text = (folder / entry["file"]).read_text()
        if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
            raise ValueError(f"{entry['file']} differs from lock.json; a changed schema needs a new file and a new id")
        plain = cast(dict[str, Any], parse_schema(without_logical_types(json.loads(text))))
        found[entry["id"]] = LockedSchema(entry["id"], entry["name"], entry["version"], text, plain)
    return found


@cache
def current_schema(name: str) -> LockedSchema:
    """The newest locked schema of that name, which writers use."""
    return max((s for s in locked_schemas().values() if s.name == name), key=lambda s: s.version)


def leading_schema(schema: LockedSchema, last_field: str) -> dict[str, Any]:
    """The schema cut after ``last_field``: decodes a value's leading part without touching the rest."""
    raw = without_logical_types(json.loads(schema.text))
    names = [field["name"] for field in raw["fields"]]
    raw["fields"] = raw["fields"][: names.index(last_field) + 1]
    raw["name"] += "Leading"
    return cast(dict[str, Any], parse_schema(raw))


@cache
def writer(name: str) -> Writer:
    """The compiled writer of the newest schema of that name, frame included."""
    schema = current_schema(name)
    if tuple(field["name"] for field in schema.plain["fields"]) != TYPES[name]._fields:
        raise TypeError(f"schema {schema.id} and {TYPES[name].__name__} differ in their fields")
    return compile_writer(schema.plain, schema.frame)


@cache
def run_writer(name: str, *fields: str) -> Writer:
    """The writer of some neighbouring fields alone, without frame: a part of a record that is joined from such."""
    schema = current_schema(name).plain
    found = [field for field in schema["fields"] if field["name"] in fields]
    if tuple(field["name"] for field in found) != fields:
        raise TypeError(f"{', '.join(fields)} are not fields of {name} in this order")
    return compile_writer({"fields": found})


def frame_before(name: str, *runs: tuple[str, ...]) -> bytes:
    """What stands before a record that is joined from the bytes of ``runs``. TypeError unless these are all its fields,
    in their order.
    """
    schema = current_schema(name)
    if [field["name"] for field in schema.plain["fields"]] != [field for run in runs for field in run]:
        raise TypeError(f"the runs are not all fields of {name} in their order")
    return schema.frame


@cache
def reader(schema_id: int) -> Reader:
    """The compiled reader of a locked schema."""
    return compile_reader(locked_schemas()[schema_id].plain)


def encode(record: Record) -> bytes:
    """A record in Confluent framing under the newest schema of its kind."""
    return writer(NAMES[type(record)])(record)


def schema_of(value: bytes | None) -> LockedSchema:
    """The schema that a framed value names. BadFrame if it is not one of the lock file."""
    if value is None or len(value) < FRAME_BYTES or value[:1] != MAGIC:
        raise BadFrame("BAD_FRAME", "the value does not start with the magic byte 0 and a schema id")
    schema = locked_schemas().get(int.from_bytes(value[1:FRAME_BYTES], "big"))
    if schema is None:
        raise BadFrame("UNKNOWN_SCHEMA", f"schema id {int.from_bytes(value[1:FRAME_BYTES], 'big')} is not in lock.json")
    return schema


def decode(value: bytes | None) -> Record:
    """A framed value as its record. BadFrame if it is not one, or does not decode to its last byte."""
    schema = schema_of(value)
    body = cast(bytes, value)
    try:
        values, end = reader(schema.id)(body, FRAME_BYTES)
    except Exception as error:  # whatever malformed bytes lead to
        raise BadFrame("UNDECODABLE", f"not a {schema.name} of schema {schema.id}: {error!r}") from error
    if end != len(body):
        what = "bytes are missing at the end of" if end > len(body) else "bytes are left over behind"
        raise BadFrame("UNDECODABLE", f"{what} a {schema.name} of schema {schema.id}")
    record = TYPES[schema.name]
    if schema is current_schema(schema.name):
        made = record._make(values)
    else:
        made = record(**dict(zip((field["name"] for field in schema.plain["fields"]), values, strict=True)))
    if isinstance(made, Credit):
        candidates = tuple(Candidate._make(candidate) for candidate in made.candidates)
        return made._replace(candidates=candidates, notes=tuple(made.notes))
    return made
