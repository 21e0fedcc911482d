"""``schemas.compiled`` against fastavro: the same bytes, and whatever is not an Avro body is told, never misread."""

from __future__ import annotations

import io
from typing import Any

import pytest
from fastavro import schemaless_reader, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import TYPES, current_schema, decode, encode, locked_schemas
from schemas.compiled import compile_reader, compile_writer
from schemas.errors import BadFrame

NAMES = sorted(TYPES)
texts = st.text(max_size=80)
longs = st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1)
ints = st.integers(min_value=-(1 << 31), max_value=(1 << 31) - 1)


def values(schema: Any) -> st.SearchStrategy[Any]:
    """Values of a schema as our records hold them: records are tuples."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, list):
        return st.none() | values(kind[1])
    if kind == "record":
        return st.tuples(*(values(field["type"]) for field in schema["fields"]))
    if kind == "array":
        return st.lists(values(schema["items"]), max_size=3)
    if kind == "map":
        return st.dictionaries(texts, values(schema["values"]), max_size=3)
    simple = {"string": texts, "long": longs, "int": ints, "boolean": st.booleans(), "bytes": st.binary(max_size=80)}
    return simple[kind]


def named(schema: Any, value: Any) -> Any:
    """The same value as fastavro wants it: records are dictionaries."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if value is None:
        return None
    if isinstance(kind, list):
        return named(kind[1], value)
    if kind == "record":
        pairs = zip(schema["fields"], value, strict=True)
        return {field["name"]: named(field["type"], part) for field, part in pairs}
    if kind == "array":
        return [named(schema["items"], item) for item in value]
    return value


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_bytes_are_fastavros(name: str, data: st.DataObject) -> None:
    schema = current_schema(name).plain
    value = data.draw(values(schema))
    out = io.BytesIO()
    schemaless_writer(out, schema, named(schema, value))
    body = compile_writer(schema)(value)
    assert body == out.getvalue()
    read, end = compile_reader(schema)(body, 0)
    assert end == len(body)
    assert named(schema, read) == schemaless_reader(io.BytesIO(body), schema, None) == named(schema, value)


@given(schema_id=st.sampled_from(sorted(locked_schemas())), body=st.binary(max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_a_record_or_a_bad_frame(schema_id: int, body: bytes) -> None:
    value = b"\0" + schema_id.to_bytes(4, "big") + body
    try:
        record = decode(value)
    except BadFrame:
        return
    assert decode(encode(record)) == record


@pytest.mark.parametrize("body", [b"\xff" * 9 + b"\x7f", b"\xff" * 12, b"\1", b"\x80"])
def test_lengths_that_cannot_be(body: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(b"\0\0\0\0\1" + body)


def test_a_number_beyond_64_bits_is_refused() -> None:
    write = compile_writer({"type": "record", "fields": [{"name": "n", "type": "long"}]})
    with pytest.raises(OverflowError):
        write((1 << 63,))
