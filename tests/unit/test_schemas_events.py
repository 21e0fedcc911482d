"""Public events: what is accepted, and the field that an error names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import FRAME_BYTES, decode, encode, leading_schema, locked_schemas, schema_of
from schemas.errors import BadFrame, InvalidEvent
from schemas.events import parse_event
from schemas.ids import ClickIdKeys
from schemas.records import Adjustment, Click, Conversion
from schemas.times import format_time, parse_duration, parse_time

SESSION = "018f3c1e-0000-7000-8000-000000000001"
AT = "2026-05-01T10:00:00Z"
CLICK = {"type": "click", "session_id": SESSION, "occurred_at": AT, "offer_id": "o", "partner_id": "p"}
SALE = {"type": "conversion", "advertiser_id": "a", "goal": "sale", "order_id": "1", "occurred_at": AT}
KEYS = ClickIdKeys(1, {1: b"secret"})


def parse(fields: Any, **more: Any) -> Any:
    return parse_event(fields, **{"received_at": None, "door": "test", **more})


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        ({**CLICK, "type": "klick"}, "type", "INVALID_FIELD"),
        ({"session_id": SESSION}, "type", "MISSING_FIELD"),
        ({**CLICK, "offer_id": None}, "offer_id", "MISSING_FIELD"),
        ({**CLICK, "offer_id": ""}, "offer_id", "MISSING_FIELD"),
        ({**CLICK, "offer_id": 7}, "offer_id", "INVALID_FIELD"),
        ({**CLICK, "session_id": "abc"}, "session_id", "INVALID_FIELD"),
        ({**CLICK, "occurred_at": "yesterday"}, "occurred_at", "INVALID_TIME"),
        ({**CLICK, "occurred_at": "2026-05-01T10:00:00"}, "occurred_at", "INVALID_TIME"),
        ({**CLICK, "occurred_at": 1777629600}, "occurred_at", "INVALID_TIME"),
        ({**CLICK, "country": "Germany"}, "country", "INVALID_FIELD"),
        ({**CLICK, "sub1": "a\x00b"}, "sub1", "INVALID_FIELD"),
        ({**CLICK, "sub1": "x" * 1025}, "sub1", "INVALID_FIELD"),
        ({**SALE, "amount": "1e3x"}, "amount", "INVALID_AMOUNT"),
        ({**SALE, "amount": "1e3"}, "amount", "INVALID_AMOUNT"),
        ({**SALE, "amount": "NaN"}, "amount", "INVALID_AMOUNT"),
        ({**SALE, "amount": 1.5}, "amount", "INVALID_AMOUNT"),
        ({**SALE, "amount": "-1"}, "amount", "INVALID_AMOUNT"),
        ({**SALE, "currency": "XXQ"}, "currency", "UNKNOWN_CURRENCY"),
        ({**SALE, "order_id": None}, "order_id", "MISSING_FIELD"),
        ({**SALE, "type": "adjustment", "action": "amend"}, "amount", "MISSING_FIELD"),
        ({**SALE, "type": "adjustment", "action": "undo"}, "action", "INVALID_FIELD"),
        ([], None, "INVALID_EVENT"),
        ("text", None, "INVALID_EVENT"),
    ],
)
def test_an_error_names_the_field(event: Any, field: str | None, reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        parse(event)
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_a_time_in_the_far_future_is_refused_where_events_are_received() -> None:
    now = parse_time(AT)
    with pytest.raises(InvalidEvent, match="seconds ahead"):
        parse({**CLICK, "occurred_at": format_time(now + 300_001)}, received_at=now)
    assert parse({**CLICK, "occurred_at": format_time(now + 300_000)}, received_at=now).received_at == now


def test_received_at_is_stamped_or_kept() -> None:
    event = {**CLICK, "received_at": "2026-05-02T10:00:00Z"}
    assert parse(event).received_at == parse_time("2026-05-02T10:00:00Z")
    assert parse(event, received_at=parse_time(AT)).received_at == parse_time(AT)


def test_unknown_fields_are_kept() -> None:
    assert parse({**CLICK, "utm_source": "x", "n": 1}).params == {"utm_source": "x", "n": "1"}


def test_a_conversion_finds_its_session_by_a_signed_click_id_only() -> None:
    click_id = KEYS.mint(bytes.fromhex(SESSION.replace("-", "")), 5, "a", b"random")
    assert parse({**SALE, "click_id": click_id}, keys=KEYS).session_id == SESSION
    with pytest.raises(InvalidEvent, match="signature"):
        parse({**SALE, "click_id": click_id}, keys=ClickIdKeys(1, {1: b"other"}))
    alone = parse({**SALE, "click_id": "foreign"})
    assert alone.session_id == parse({**SALE, "click_id": "other"}).session_id  # derived from the order


def test_the_same_touch_without_id_gets_the_same_one() -> None:
    assert parse(CLICK).click_id == parse(CLICK).click_id
    assert parse(CLICK).click_id != parse({**CLICK, "type": "impression"}).click_id


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
NAMES = st.sampled_from(["type", "session_id", "occurred_at", "offer_id", "partner_id", "amount", "currency", "goal"])
KINDS = st.sampled_from(["click", "impression", "conversion", "adjustment"])


@given(st.dictionaries(NAMES | st.text(max_size=5), JSON, max_size=8), KINDS)
def test_whatever_comes_is_an_event_or_an_invalid_event(fields: dict[str, Any], kind: str) -> None:
    try:
        event = parse({**SALE, **CLICK, **fields, "type": kind})
    except InvalidEvent:
        return
    assert decode(encode(event)) == event


@pytest.mark.parametrize("record", [Click, Conversion, Adjustment])
def test_a_records_fields_are_its_schemas(record: Any) -> None:
    name = record.__name__.lower()
    fields = [f["name"] for f in next(s for s in locked_schemas().values() if s.name == name).plain["fields"]]
    assert list(record._fields) == fields


def test_the_leading_part_of_a_click_decodes_alone() -> None:
    import io

    from fastavro import schemaless_reader

    value = encode(parse(CLICK))
    leading = leading_schema(schema_of(value), "country")
    fields = schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), leading, None)
    assert list(fields) == list(Click._fields[:8])
    assert fields["partner_id"] == "p"


@pytest.mark.parametrize("value", [None, b"", b"\0\0\0", b"\1\0\0\0\1x", b"\0\0\0\0\x63x", encode(parse(CLICK))[:-3]])
def test_bytes_that_are_not_ours_are_a_bad_frame(value: bytes | None) -> None:
    with pytest.raises(BadFrame):
        decode(value)


def test_left_over_bytes_are_a_bad_frame() -> None:
    with pytest.raises(BadFrame, match="left over"):
        decode(encode(parse(CLICK)) + b"x")


def test_times_and_durations() -> None:
    assert format_time(parse_time("2026-05-01T12:00:00.0109+02:00")) == "2026-05-01T10:00:00.010Z"
    assert parse_duration("30d") == 30 * 86_400_000
    for bad in ("30", "d", "-1d", "1y", ""):
        with pytest.raises(ValueError, match="duration"):
            parse_duration(bad)
