"""The frame check on the way in, and the dead letters of what fails it."""

from __future__ import annotations

import pytest

from processors.runtime.dead_letters import of_record
from processors.runtime.intake import take
from processors.runtime.partition import Part
from processors.store import row_key
from schemas.codec import decode, encode
from schemas.ids import session_text
from schemas.records import Click, Conversion, DeadLetter
from schemas.topics import CLICKS, CONVERSIONS
from tests.support.log_records import FakeRecord

SESSION = bytes(range(16))
CLICK = encode(Click("c1", 1_000, 1_002, "click", "p", "o", None, None, session_text(SESSION)))
SALE = Conversion(
    "v1", 2_000, 2_002, "shop", "sale", "A-1", None, None, None, "9.90", "EUR", None, None, None, session_text(SESSION)
)
CONVERSION = encode(SALE)


def part(topic: str, key: bytes | None, value: bytes | None, live: bool = True) -> Part:
    return Part(topic, 8, [FakeRecord(7, 1_000, key, value)], live)


def test_a_click_is_stored_as_it_is() -> None:
    intake = take(part(CLICKS, SESSION, CLICK), set())
    assert intake.rows == [(row_key(SESSION, 1_000, CLICK), CLICK)]
    assert not intake.sessions
    assert not intake.refused


def test_a_click_of_a_converted_session_asks_for_it_only_when_live() -> None:
    assert take(part(CLICKS, SESSION, CLICK), {SESSION}).sessions == {SESSION: None}
    assert not take(part(CLICKS, SESSION, CLICK, live=False), {SESSION}).sessions


def test_a_conversion_asks_for_its_session() -> None:
    intake = take(part(CONVERSIONS, SESSION, CONVERSION), set())
    assert intake.sessions == {SESSION: {"v1"}}
    assert intake.rows == [(row_key(SESSION, 1_000, CONVERSION), CONVERSION)]


@pytest.mark.parametrize(
    ("topic", "key", "value", "reason"),
    [
        (CLICKS, SESSION, None, "BAD_FRAME"),
        (CLICKS, SESSION, b"", "BAD_FRAME"),
        (CLICKS, SESSION, b"{}", "BAD_FRAME"),
        (CLICKS, SESSION, b"\0\0\0\x63\x63body", "UNKNOWN_SCHEMA"),
        (CLICKS, SESSION, CONVERSION, "WRONG_SCHEMA"),
        (CLICKS, None, CLICK, "BAD_KEY"),
        (CLICKS, b"short", CLICK, "BAD_KEY"),
        (CONVERSIONS, SESSION, CLICK, "WRONG_SCHEMA"),
        (CONVERSIONS, SESSION, CONVERSION[:-3], "UNDECODABLE"),
        (CONVERSIONS, SESSION, CONVERSION + b"x", "UNDECODABLE"),
        (CONVERSIONS, bytes(16), CONVERSION, "KEY_MISMATCH"),
        (CONVERSIONS, SESSION, encode(SALE._replace(session_id="none")), "INVALID_FIELD"),
        (CONVERSIONS, SESSION, encode(SALE._replace(occurred_at=1 << 60)), "INVALID_TIME"),
    ],
)
def test_what_is_refused_and_why(topic: str, key: bytes | None, value: bytes | None, reason: str) -> None:
    intake = take(part(topic, key, value), {SESSION})
    assert not intake.rows
    assert not intake.sessions
    assert [(refused.reason, refused.offset) for refused in intake.refused] == [(reason, 7)]


def test_a_dead_letter_has_the_original_and_its_place() -> None:
    [refused] = take(part(CLICKS, b"short", CLICK), set()).refused
    letter = decode(encode(of_record(CLICKS, 3, refused, 9_000)))
    assert isinstance(letter, DeadLetter)
    assert (letter.topic, letter.partition, letter.offset, letter.record_at) == (CLICKS, 3, 7, 1_000)
    assert (letter.key, letter.original, letter.stage) == (b"short", CLICK, "attribution")
    assert letter == of_record(CLICKS, 3, refused, 9_000)
