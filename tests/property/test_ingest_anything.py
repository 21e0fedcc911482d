"""Whatever is sent: no door raises, no answer is a 5xx, and the quick way says what the long one does."""

from __future__ import annotations

from functools import cache

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.envelope import ce_time
from ingest.intake import Intake
from ingest.quick_touch import quick_touch
from schemas.errors import InvalidEvent
from schemas.events import MODELS, parse_event
from schemas.times import parse_time
from tests.support.front_door import INDEX, KEYS, NOW, SESSION, FrontDoor

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
NAMES = sorted({name for model in MODELS.values() for name in model.model_fields})
IDS = ["shop", "shoes", "anna", SESSION, "sale", "click", "conversion", "adjustment", "impression", "approve", "amend"]
TIMES = ["2026-05-01T10:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
PLAUSIBLE = st.sampled_from([*IDS, *TIMES, "49.90", "EUR", "DE", "", " "])
EVENTS = st.dictionaries(st.sampled_from(NAMES) | TEXT, PLAUSIBLE | JSON, max_size=len(NAMES))


@given(fields=EVENTS | JSON)
@settings(max_examples=300, deadline=None)
def test_intake_raises_nothing_but_invalid_event(fields: object) -> None:
    intake = Intake(KEYS, lambda _: INDEX)
    try:
        accepted = intake.accept(fields, now=NOW, door="bulk")
    except InvalidEvent as error:
        intake.refuse(error, b"x", now=NOW, door="bulk")
    else:
        assert accepted.message.value


@given(body=st.binary(max_size=300) | EVENTS.map(orjson.dumps) | st.lists(EVENTS | JSON, max_size=4).map(orjson.dumps))
@settings(max_examples=150, deadline=None)
def test_no_body_is_a_server_error(body: bytes) -> None:
    for path in ("/v1/events", "/pb"):
        for headers in ([], [("content-type", "application/json")], [("content-encoding", "gzip")]):
            assert FrontDoor().ask("POST", path, body, headers).status < 500


@cache
def door() -> FrontDoor:
    return FrontDoor()


@given(path=TEXT, query=TEXT, header=TEXT)
@settings(max_examples=150, deadline=None)
def test_no_link_is_a_server_error(path: str, query: str, header: str) -> None:
    headers = [("cookie", header), ("user-agent", header), ("referer", header), ("host", header)]
    urls = (f"/c/{path}?{query}", f"/l/{path}?{query}", f"/i/{path}?{query}", f"/aff_c?{query}", f"/pb?{query}")
    for url in (*urls, f"/c/shoes?partner=anna&{query}", f"/aff_i?offer_id=shoes&aff_id=anna&{query}"):
        said = door().ask("GET", url, headers=headers)
        assert said.status < 500
        assert said.headers.get("location", "").isascii()


PLAIN = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["click", "impression", "conversion", "Click"]),
        "session_id": st.sampled_from([SESSION, SESSION.upper(), SESSION.replace("-", ""), "x"]),
        "occurred_at": st.sampled_from(
            ["2026-05-01T10:00:00Z", "2026-05-01 10:00:00.5+02:00", "2027-01-01T00:00:00Z", "x"]
        ),
        "offer_id": TEXT,
        "partner_id": TEXT,
    },
    optional={
        "country": st.sampled_from(["DE", "de", "D", "ß", "DEU"]),
        "received_at": st.sampled_from(["2026-05-01T10:00:00Z", "x"]),
        **{name: TEXT | st.none() for name in ("click_id", "source", "sub1", "device", "user_agent", "invalid", "own")},
    },
)


@given(fields=PLAIN)
@settings(max_examples=500, deadline=None)
def test_quick_touch_is_what_parse_event_says(fields: dict[str, object]) -> None:
    quick = quick_touch(fields, NOW, "bulk")
    if quick is not None:
        assert quick == parse_event(fields, received_at=NOW, door="bulk", keys=KEYS)


def test_plain_touch_is_quick() -> None:
    fields = {"type": "click", "session_id": SESSION, "occurred_at": "2026-05-01T10:00:00Z", "country": "DE"}
    assert quick_touch({**fields, "offer_id": "shoes", "partner_id": "anna"}, NOW, "bulk") is not None


@given(at=st.integers(0, 253_402_300_799_999))
def test_ce_time_is_rfc_3339(at: int) -> None:
    assert parse_time(ce_time(at).decode()) == at
