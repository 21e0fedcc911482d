"""Bulk events: a result for each, in order; one bad event does not cost the others."""

from __future__ import annotations

import gzip

import orjson
import pytest
import zstandard

from schemas.records import Adjustment, DeadLetter
from tests.support.front_door import SESSION, FrontDoor

CLICK = {
    "type": "click",
    "session_id": SESSION,
    "occurred_at": "2026-05-01T10:00:00Z",
    "offer_id": "shoes",
    "partner_id": "anna",
}
SALE = {
    "type": "conversion",
    "advertiser_id": "shop",
    "goal": "sale",
    "order_id": "o-1",
    "occurred_at": "2026-05-01T11:00:00Z",
}
APPROVE = {**SALE, "type": "adjustment", "action": "approve"}
NDJSON = b"\n".join(map(orjson.dumps, (CLICK, SALE, APPROVE)))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (NDJSON, []),
        (NDJSON + b"\n\n", [("content-type", "application/x-ndjson")]),
        (NDJSON, [("content-type", "application/json")]),
        (b" " + orjson.dumps([CLICK, SALE, APPROVE]), [("content-type", "application/json")]),
        (gzip.compress(NDJSON), [("content-encoding", "gzip")]),
        (gzip.compress(NDJSON[:100]) + gzip.compress(NDJSON[100:]), [("content-encoding", "gzip")]),
        (zstandard.compress(NDJSON), [("content-encoding", "zstd")]),
        (zstandard.compress(NDJSON[:100]) + zstandard.compress(NDJSON[100:]), [("content-encoding", "zstd")]),
    ],
)
def test_array_and_ndjson_in_every_wrapping(body: bytes, headers: list[tuple[str, str]]) -> None:
    door = FrontDoor()
    said = door.ask("POST", "/v1/events", body, headers)
    assert said.status == 202
    assert (said.json["accepted"], said.json["rejected"]) == (3, 0)
    assert [message.topic for message in door.publisher.messages] == ["clicks", "conversions", "adjustments"]
    (adjustment,) = door.publisher.records("adjustments")
    assert isinstance(adjustment, Adjustment)
    assert door.publisher.messages[2].key == adjustment.conversion_id.encode()


def test_one_pretty_printed_event() -> None:
    body = orjson.dumps(CLICK, option=orjson.OPT_INDENT_2)
    said = FrontDoor().ask("POST", "/v1/events", body, [("content-type", "application/json")])
    assert said.json["accepted"] == 1


def test_a_bad_event_costs_only_itself() -> None:
    door = FrontDoor()
    lines = [
        orjson.dumps(CLICK),
        b"{oops",
        orjson.dumps({**CLICK, "offer_id": "nope"}),
        b"\xff\xfe",
        b"[]",
        orjson.dumps({**SALE, "amount": "1e3x"}),
        orjson.dumps({**SALE, "click_id": "forged"}),
        orjson.dumps(SALE),
    ]
    said = door.ask("POST", "/v1/events", b"\n".join(lines))
    assert said.status == 202
    assert (said.json["accepted"], said.json["rejected"]) == (2, 6)
    results = said.json["results"]
    assert [(result.get("reason"), result.get("field")) for result in results] == [
        (None, None),
        ("INVALID_JSON", None),
        ("UNKNOWN_OFFER", "offer_id"),
        ("INVALID_JSON", None),
        ("INVALID_EVENT", None),
        ("INVALID_AMOUNT", "amount"),
        ("INVALID_CLICK_ID", "click_id"),
        (None, None),
    ]
    letters = [record for record in door.publisher.records("dead-letters") if isinstance(record, DeadLetter)]
    assert [letter.original for letter in letters] == lines[1:7]


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"", [], "EMPTY_BODY"),
        (b" \n ", [], "EMPTY_BODY"),
        (b"[1,{", [], "INVALID_JSON"),
        (b"abc", [("content-encoding", "gzip")], "UNDECODABLE_BODY"),
        (gzip.compress(NDJSON)[:-20], [("content-encoding", "gzip")], "UNDECODABLE_BODY"),
        (b"abc", [("content-encoding", "zstd")], "UNDECODABLE_BODY"),
        (zstandard.compress(NDJSON)[:-20], [("content-encoding", "zstd")], "UNDECODABLE_BODY"),
    ],
)
def test_an_unusable_body_is_400_and_one_dead_letter(body: bytes, headers: list[tuple[str, str]], reason: str) -> None:
    door = FrontDoor()
    said = door.ask("POST", "/v1/events", body, headers)
    assert (said.status, said.json["reason"]) == (400, reason)
    (letter,) = door.publisher.records()
    assert isinstance(letter, DeadLetter)
    assert letter.original == body


def test_limits() -> None:
    door = FrontDoor(body_limit=1_000, decoded_limit=2_000, events_limit=3)
    assert door.ask("POST", "/v1/events", b"x" * 1_001).status == 413
    assert door.ask("POST", "/v1/events", b"x", [("content-length", "1001")]).status == 413
    for body, encoding in ((gzip.compress(bytes(9_999)), "gzip"), (zstandard.compress(bytes(9_999)), "zstd")):
        assert door.ask("POST", "/v1/events", body, [("content-encoding", encoding)]).status == 413
    assert door.ask("POST", "/v1/events", b"{}\n{}\n{}\n{}").json["reason"] == "TOO_MANY_EVENTS"
    assert door.ask("POST", "/v1/events", b"[{},{},{},{}]").json["reason"] == "TOO_MANY_EVENTS"
    said = door.ask("POST", "/v1/events", b"x", [("content-encoding", "br")])
    assert (said.status, said.headers["accept-encoding"]) == (415, "gzip, zstd, identity")


def test_nesting_and_size_are_no_server_errors() -> None:
    deep = b'[{"type":"click","x":' + b"[" * 1_000 + b"]" * 1_000 + b"}]"
    whole = orjson.dumps(SALE)[:-1] + b',"x":' + b"[" * 1_000 + b"]" * 1_000 + b"}"
    large = orjson.dumps({**CLICK, "x": "y" * 600_000})
    assert FrontDoor().ask("POST", "/v1/events", deep).json["rejected"] == 1
    assert FrontDoor().ask("POST", "/v1/events", whole).json["results"][0]["reason"] == "INVALID_EVENT"
    assert FrontDoor().ask("POST", "/v1/events", large).json["results"][0]["reason"] == "EVENT_TOO_LARGE"


def test_nothing_is_answered_before_it_is_durable() -> None:
    door = FrontDoor()
    door.publisher.away = True
    assert door.ask("POST", "/v1/events", NDJSON).status == 503
    assert door.ask("POST", "/v1/events", b"[").status == 503
    assert FrontDoor(index=None).ask("POST", "/v1/events", NDJSON).json["reason"] == "NO_CATALOG"


def test_copies_and_conflicts_are_told_as_far_as_they_are_known() -> None:
    door = FrontDoor()
    paid = {**SALE, "amount": "49.90"}
    said = door.ask("POST", "/v1/events", orjson.dumps([paid, CLICK, paid, CLICK, {**paid, "currency": "eur"}]))
    assert [result["status"] for result in said.json["results"]] == [
        *("accepted", "accepted", "duplicate", "duplicate", "duplicate")
    ]
    assert (said.json["accepted"], said.json["duplicates"], said.json["rejected"]) == (2, 3, 0)
    again = door.ask("POST", "/v1/events", orjson.dumps([{**paid, "amount": 50}, paid]))
    conflict, copy = again.json["results"]
    assert (conflict["status"], conflict["reason"], conflict["field"]) == ("rejected", "CONFLICT", "amount")
    assert copy["status"] == "duplicate"
    assert len(door.publisher.messages) == 7, "what they come to is decided behind the log"


def test_what_was_not_published_is_not_remembered() -> None:
    door = FrontDoor()
    door.publisher.away = True
    assert door.ask("POST", "/v1/events", orjson.dumps([SALE])).status == 503
    door.publisher.away = False
    assert door.ask("POST", "/v1/events", orjson.dumps([SALE])).json["accepted"] == 1
