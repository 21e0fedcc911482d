"""Avro containers around undecoded bodies: what stands in them is what went in."""

import io

import fastavro
import pytest

from schemas.codec import current_schema, encode
from schemas.records import Click
from sinks.clickhouse.container import columns, container, varint
from sinks.clickhouse.rows import Row

SCHEMA = current_schema("click")


def click(number: int, **more: object) -> Click:
    base = Click(
        click_id=f"c-{number}",
        occurred_at=1_777_000_000_000 + number,
        received_at=1_777_000_000_100 + number,
        type="click",
        partner_id="anna",
        offer_id="decor",
        invalid=None,
        country=None,
        session_id="018f3c1e-0000-7000-8000-000000000001",
        params={"utm_source": "ü" * (number % 7)},
    )
    return base._replace(**more)  # type: ignore[arg-type]


def test_fastavro_reads_back_what_went_in() -> None:
    places = [(0, 0), (0, 63), (0, 64), (3, 64), (7, 8191), (7, 8192), (1, 2**40), (31, 5)]
    clicks = [click(i, referrer="x" * size) for i, size in enumerate((0, 1, 60, 200, 9_000, 20_000, 3, 4))]
    rows = [Row(p, o, encode(c), None, None) for (p, o), c in zip(places, clicks, strict=True)]
    read = list(fastavro.reader(io.BytesIO(container(SCHEMA.id, rows))))
    assert [(r["kafka_partition"], r["kafka_offset"]) for r in read] == places
    assert [r["click_id"] for r in read] == [c.click_id for c in clicks]
    assert [r["params"] for r in read] == [dict(c.params) for c in clicks]
    assert [r["referrer"] for r in read] == [c.referrer for c in clicks]
    assert [int(r["occurred_at"].timestamp() * 1000) for r in read] == [c.occurred_at for c in clicks]
    assert [str(r["session_id"]) for r in read] == [c.session_id for c in clicks]


def test_columns_are_the_schemas_fields_behind_the_place_in_kafka() -> None:
    assert columns(SCHEMA.id) == ("kafka_partition", "kafka_offset", *Click._fields)


def test_without_rows_it_is_a_valid_empty_file() -> None:
    assert list(fastavro.reader(io.BytesIO(container(SCHEMA.id, [])))) == []


def test_a_short_body_does_not_eat_into_its_neighbour() -> None:
    good, short = encode(click(1)), encode(click(2))[:-4]
    rows = [Row(0, 1, short, None, None), Row(0, 2, good, None, None)]
    with pytest.raises((EOFError, ValueError, IndexError, UnicodeDecodeError)):
        list(fastavro.reader(io.BytesIO(container(SCHEMA.id, rows))))


@pytest.mark.parametrize("number", [0, 1, 63, 64, 127, 128, 8191, 8192, 2**31, 2**62])
def test_varint_is_avros_long(number: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, number)
    assert varint(number) == out.getvalue()
