"""A column mapping: what a foreign row becomes, and what a mistake in the mapping is told as."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from console.main import accredit
from ingest.errors import FileUnreadable
from ingest.intake import Intake
from ingest.load import load_file
from ingest.loading.mapping import ColumnMapping, read_mapping
from ingest.loading.source import opened
from schemas.codec import decode
from schemas.errors import InvalidEvent
from schemas.records import Conversion, DeadLetter
from schemas.times import parse_time
from tests.support.front_door import INDEX, KEYS
from tests.unit.test_load_file import Kept

ORDERS = """\
Order No;Total;Bought;Remarks;Note
A-1;49.90;03.05.2026 11:00;internal;first
A-2;abc;03.05.2026 11:00;;
A-3;1e2;31.02.2026 11:00;;
A-4;10
A-5;0.30000000000000004;03.01.2026 11:00;;
"""
MAPPING = """\
type: conversion
columns: {Order No: order_id, Total: amount, Bought: occurred_at, Remarks: null}
constants: {advertiser_id: shop, goal: sale}
defaults: {currency: EUR}
times: {format: "%d.%m.%Y %H:%M", timezone: Europe/Berlin}
delimiter: ";"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "orders.yaml").write_text(MAPPING)
    return tmp_path


def test_a_csv_file_of_a_shop_is_loaded(folder: Path) -> None:
    mapping = read_mapping(folder / "orders.yaml")
    kept = Kept()
    with opened(folder / "orders.csv", None, mapping) as source:
        result = load_file(source.rows(0), kept, Intake(KEYS, lambda _: INDEX), mapping=mapping)
    assert (dict(result.kinds), result.rejected) == ({"conversion": 2}, 3)
    records = [decode(message.value) for message in kept.messages]
    first, *refused, last = records
    assert isinstance(first, Conversion)
    assert isinstance(last, Conversion)
    assert (first.order_id, first.amount, first.currency, first.advertiser_id) == ("A-1", "49.90", "EUR", "shop")
    assert first.occurred_at == parse_time("2026-05-03T09:00:00Z"), "summer time in Berlin"
    assert (last.amount, last.occurred_at) == ("0.3", parse_time("2026-01-03T10:00:00Z"))
    assert first.params == {"Note": "first"}
    letters = [record for record in refused if isinstance(record, DeadLetter)]
    assert [letter.reason for letter in letters] == ["INVALID_AMOUNT", "INVALID_TIME", "INVALID_CSV"]
    assert letters[0].original == b"A-2;abc;03.05.2026 11:00;;"


def test_parquet_needs_no_mapping_where_its_columns_bear_our_names(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    row: dict[str, Any] = {"type": "conversion", "advertiser_id": "shop", "goal": "sale", "order_id": 1001}
    row |= {"amount": Decimal("49.90"), "occurred_at": datetime(2026, 5, 3, 11), "adv1": 7.0, "adv2": float("nan")}
    pq.write_table(pa.Table.from_pylist([row, {**row, "amount": None, "goal": None}]), path)
    kept = Kept()
    mapping = ColumnMapping()
    with opened(path, None, mapping) as source:
        load_file(source.rows(0), kept, Intake(KEYS, lambda _: INDEX), mapping=mapping)
    sale, letter = (decode(message.value) for message in kept.messages)
    assert isinstance(sale, Conversion)
    assert (sale.order_id, sale.amount, sale.adv1, sale.adv2) == ("1001", "49.90", "7", None)
    assert sale.occurred_at == parse_time("2026-05-03T11:00:00Z")
    assert isinstance(letter, DeadLetter)
    assert b'"order_id":1001' in letter.original


@pytest.mark.parametrize(
    ("times", "value", "expected"),
    [
        ({}, "2026-05-03T11:00:00+02:00", "2026-05-03T11:00:00+02:00"),
        ({"timezone": "Europe/Berlin"}, "2026-05-03 11:00", "2026-05-03T09:00:00Z"),
        ({"timezone": "Europe/Berlin"}, "2026-05-03T11:00:00Z", "2026-05-03T11:00:00Z"),
        ({"timezone": "Europe/Berlin"}, datetime(2026, 5, 3, 11), "2026-05-03T09:00:00Z"),
        ({"timezone": "America/New_York"}, date(2026, 5, 3), "2026-05-03T04:00:00Z"),
        ({"format": "epoch_s"}, "1777806000.25", "2026-05-03T11:00:00.250Z"),
        ({"format": "epoch_ms"}, 1777806000250, "2026-05-03T11:00:00.250Z"),
        ({"format": "%Y%m%d%H%M%S%z"}, "20260503110000+0200", "2026-05-03T09:00:00Z"),
    ],
)
def test_times(times: dict[str, str], value: Any, expected: str) -> None:
    mapping = ColumnMapping.model_validate({"times": times})
    assert mapping.event({"occurred_at": value})["occurred_at"] == expected


@pytest.mark.parametrize(
    ("times", "value"),
    [
        ({"timezone": "UTC"}, "yesterday"),
        ({"format": "epoch_s"}, "soon"),
        ({"format": "epoch_s"}, "1e400"),
        ({"format": "epoch_ms"}, "nan"),
        ({"format": "epoch_s"}, "-5"),
        ({"format": "%d.%m.%Y"}, "03.05.2026"),
        ({"format": "%d.%m.%Y", "timezone": "UTC"}, "03.05.1926"),
    ],
)
def test_a_time_that_is_none_names_its_field(times: dict[str, str], value: Any) -> None:
    mapping = ColumnMapping.model_validate({"times": times})
    with pytest.raises(InvalidEvent) as refused:
        mapping.event({"occurred_at": value})
    assert (refused.value.reason, refused.value.field) == ("INVALID_TIME", "occurred_at")


def test_constants_go_before_the_row_and_defaults_after() -> None:
    mapping = ColumnMapping(columns={"c": "currency"}, constants={"goal": "sale"}, defaults={"currency": "EUR"})
    assert mapping.event({"goal": "lead", "c": "USD"}) == {"goal": "sale", "currency": "USD"}
    assert mapping.event({"goal": "lead", "c": ""}) == {"goal": "sale", "currency": "EUR"}
    assert mapping.event({"currency": "hidden", "c": "USD"})["column_currency"] == "hidden"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("columns: {a: order_idd}", "'order_idd' is no field"),
        ("type: click\ncolumns: {a: amount}", "'amount' is no field of click"),
        ("columns: {a: goal, b: goal}", "more than one column is goal"),
        ("colums: {}", "colums"),
        ("times: {timezone: Berlin}", "no time zone"),
        ("times: {format: soon}", "none of iso"),
        ("encoding: utf-16", "no encoding"),
        ("type: order", "type"),
        ("constants: {order_id: 7}", "constants.order_id"),
        ("[", "expected"),
        ("- a", "dictionary"),
    ],
)
def test_a_mistake_in_the_mapping_is_named(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(FileUnreadable, match=r"m\.yaml") as found:
        read_mapping(path)
    assert told in str(found.value)


def test_a_dry_run_shows_the_events_and_needs_nothing_that_runs(folder: Path) -> None:
    args = ["load", str(folder / "orders.csv"), "--mapping", str(folder / "orders.yaml"), "--dry-run"]
    shown = CliRunner().invoke(accredit, args)
    assert shown.exit_code == 0, shown.output
    assert "A-1" in shown.output
    assert "2026-05-03T09:00:00Z" in shown.output
    assert "INVALID_AMOUNT" in shown.output
    assert "2 of 5 would be events" in shown.output


def test_a_file_read_the_wrong_way_loads_nothing(folder: Path) -> None:
    shown = CliRunner().invoke(accredit, ["load", str(folder / "orders.csv"), "--data", str(folder)])
    assert isinstance(shown.exception, FileUnreadable)
    assert "nothing was loaded: none of the first 5 rows" in str(shown.exception)
