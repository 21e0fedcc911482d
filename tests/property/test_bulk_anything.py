"""Whatever comes in bulk, from a tracker or in a file: no 5xx, a result for each item, nothing but InvalidEvent."""

from __future__ import annotations

import io
from base64 import urlsafe_b64encode
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.config import IngestConfig
from ingest.loading.mapping import ColumnMapping
from ingest.loading.rows import csv_rows, ndjson_rows, read_lines
from schemas.errors import InvalidEvent
from schemas.money import parse_amount, plain_number
from tests.support.front_door import FrontDoor
from tests.unit.test_segment_door import BROWSER_CALL
from tests.unit.test_snowplow_door import BROWSER, TP2

CONFIG = IngestConfig.model_validate(
    {
        "segment": {"write_keys": {"browser-key": "shop"}, "fields": {"adv1": "properties.a.b"}},
        "snowplow": {"apps": {"web-shop": "shop"}, "structured": {"a/b": "sale"}, "self_describing": {"v/n": "lead"}},
    }
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXT
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
ADJUSTMENT_NAMES = ["type", "advertiser_id", "goal", "order_id", "click_id", "conversion_id", "action", "status"]
ADJUSTMENTS = st.dictionaries(
    st.sampled_from([*ADJUSTMENT_NAMES, "reason", "note", "amount", "currency", "occurred_at"]) | TEXT,
    st.sampled_from(["shop", "sale", "o-1", "approve", "approved", "amend", "49.90", "EUR", "0" * 32]) | JSON,
    max_size=10,
)
CALLS = st.fixed_dictionaries({}, optional={name: st.just(value) | JSON for name, value in BROWSER_CALL.items()})
PROPERTIES = st.dictionaries(
    st.sampled_from(["order_id", "revenue", "total", "currency", "coupon", "transaction_id", "session_id", "a"]), JSON
)


@given(items=st.lists(ADJUSTMENTS | JSON, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_every_adjustment_gets_a_result(items: list[Any]) -> None:
    said = FrontDoor().ask("POST", "/v1/adjustments", orjson.dumps(items))
    assert said.status == 202
    assert len(said.json["results"]) == len(items)
    counted = said.json["accepted"] + said.json["duplicates"] + said.json["rejected"]
    assert counted == len(items)


@given(calls=st.lists(CALLS | JSON, max_size=3), properties=PROPERTIES, raw=st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_no_call_of_segments_is_a_server_error(calls: list[Any], properties: dict[str, Any], raw: bytes) -> None:
    door = FrontDoor(config=CONFIG)
    batch = {"batch": calls, "writeKey": "browser-key"}
    track = {**BROWSER_CALL, "properties": properties}
    for path, body in (("batch", orjson.dumps(batch)), ("track", orjson.dumps(track)), ("t", raw)):
        assert door.ask("POST", f"/v1/{path}", body, [("authorization", f"Basic {raw!r}")]).status < 500
    for call in calls:
        assert door.ask("POST", "/v1/track", orjson.dumps(call)).status < 500


@given(
    events=st.lists(
        st.fixed_dictionaries(
            {"e": st.sampled_from(["ue", "tr", "se", "pv"]) | JSON},
            optional={
                "ue_px": JSON.map(lambda content: urlsafe_b64encode(orjson.dumps(content)).decode()) | TEXT,
                "ue_pr": JSON.map(lambda content: orjson.dumps(content).decode()) | TEXT,
                "cx": TEXT,
                **dict.fromkeys(("aid", "tr_id", "tr_tt", "se_ca", "se_ac", "dtm", "stm", "url", "eid"), TEXT | JSON),
            },
        )
        | JSON,
        max_size=3,
    )
)
@settings(max_examples=150, deadline=None)
def test_no_event_of_snowplows_is_a_server_error(events: list[Any]) -> None:
    door = FrontDoor(config=CONFIG)
    known = [{**BROWSER, **event} for event in events if isinstance(event, dict)]
    for data in (events, known):
        assert door.ask("POST", TP2, orjson.dumps({"data": data})).status < 500
    for event in known:
        query = "&".join(f"{quote(str(name))}={quote(str(value))}" for name, value in event.items())
        assert door.ask("GET", f"/i?{query}").status < 500


@given(row=st.dictionaries(st.sampled_from(["amount", "occurred_at", "type", "x"]) | TEXT, JSON) | JSON, data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_row_maps_to_an_event_or_says_why_not(row: Any, data: st.DataObject) -> None:
    formats = st.sampled_from(["iso", "epoch_s", "epoch_ms", "%d.%m.%Y"])
    zones = st.none() | st.sampled_from(["Europe/Berlin", "UTC"])
    times = {"format": data.draw(formats), "timezone": data.draw(zones)}
    mapping = ColumnMapping.model_validate({"columns": {"x": "order_id"}, "times": times})
    try:
        reason = type(mapping.event(row)).__name__
    except InvalidEvent as error:
        reason = error.reason
    assert reason in ("dict", "INVALID_EVENT", "INVALID_TIME")


@given(body=st.binary(max_size=400), after=st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_bytes_are_rows_and_the_rest_of_them_after_any_row(body: bytes, after: int) -> None:
    for rows in (
        lambda skip: ndjson_rows(read_lines(io.BytesIO(body)), skip),
        lambda skip: csv_rows(read_lines(io.BytesIO(b"a,b\n" + body)), skip),
    ):
        everything = [row[:3] for row in rows(0)]
        assert [row[:3] for row in rows(after)] == [row for row in everything if row[0] > after]


@given(number=st.floats(0, 1e15, allow_nan=False))
def test_a_double_is_an_amount_to_nine_decimals(number: float) -> None:
    amount = parse_amount(plain_number(repr(number)))
    assert abs(amount - Decimal(repr(number))) <= Decimal("0.0000000005")
