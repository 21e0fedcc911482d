"""Postbacks: three ways to bring the parameters, one conversion; every mistake names its field."""

from __future__ import annotations

import orjson
import pytest

from schemas.ids import conversion_id
from schemas.records import Conversion, DeadLetter
from tests.support.front_door import KEYS, NOW, SESSION, FrontDoor

TID = KEYS.mint(bytes.fromhex(SESSION.replace("-", "")), NOW - 1_000, "shop", b"123456")
STRANGERS = KEYS.mint(bytes(16), NOW, "nobody", b"123456")
JSON = [("content-type", "application/json; charset=utf-8")]
FORM = [("content-type", "application/x-www-form-urlencoded")]


def only_conversion(door: FrontDoor) -> Conversion:
    (record,) = door.publisher.records("conversions")
    assert isinstance(record, Conversion)
    return record


def test_transaction_id_brings_session_and_advertiser() -> None:
    door = FrontDoor()
    said = door.ask("GET", f"/pb?transaction_id={TID}&order_id=o-1&amount=49.90&currency=eur&coupon=SAVE&basket=3")
    record = only_conversion(door)
    assert said.status == 200
    assert said.json == {"status": "accepted", "conversion_id": conversion_id("shop", "sale", "o-1", None)}
    assert (record.session_id, record.advertiser_id, record.click_id) == (SESSION, "shop", TID)
    assert (record.goal, record.amount, record.currency, record.promo_code) == ("sale", "49.90", "EUR", "SAVE")
    assert (record.occurred_at, record.received_at, record.door) == (NOW, NOW, "postback")
    assert record.params == {"basket": "3"}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (f"transaction_id={TID}&order_id=7&adv1=x+y&amount=5".encode(), FORM),
        (orjson.dumps({"transaction_id": TID, "order_id": 7, "adv1": "x y", "amount": 5, "goal": None}), JSON),
        (orjson.dumps({"transaction_id": TID, "order_id": 7, "adv1": "x y", "amount": "5"}), []),
    ],
)
def test_form_and_json_bodies(body: bytes, headers: list[tuple[str, str]]) -> None:
    door = FrontDoor()
    assert door.ask("POST", "/pb?adv2=q&adv1=lost", body, headers).status == 200
    record = only_conversion(door)
    assert (record.order_id, record.adv1, record.adv2, record.amount) == ("7", "x y", "q", "5")


def test_without_a_transaction_id_the_order_is_enough() -> None:
    door = FrontDoor()
    assert door.ask("GET", "/pb?advertiser_id=shop&order_id=o-1&goal=lead").status == 200
    assert only_conversion(door).goal == "lead"


def test_a_transaction_id_alone_is_enough() -> None:
    door = FrontDoor()
    assert door.ask("GET", f"/pb?transaction_id={TID}").status == 200
    assert only_conversion(door).conversion_id == conversion_id("shop", "sale", None, TID)


def test_words_of_ours_in_a_senders_mouth_are_kept_aside() -> None:
    door = FrontDoor()
    assert door.ask("GET", f"/pb?transaction_id={TID}&type=click&received_at=never&door=x").status == 200
    assert only_conversion(door).params == {"param_type": "click", "param_received_at": "never", "door": "x"}


@pytest.mark.parametrize(
    ("query", "status", "reason", "field"),
    [
        ("order_id=1", 400, "MISSING_FIELD", "transaction_id"),
        ("advertiser_id=shop", 400, "MISSING_FIELD", "order_id"),
        (f"transaction_id={TID[:-1]}A", 400, "INVALID_CLICK_ID", "transaction_id"),
        ("transaction_id=short", 400, "INVALID_CLICK_ID", "transaction_id"),
        (f"transaction_id={STRANGERS}", 422, "UNKNOWN_ADVERTISER", "advertiser_id"),
        ("advertiser_id=nobody&order_id=1", 422, "UNKNOWN_ADVERTISER", "advertiser_id"),
        ("advertiser_id=shop&order_id=1&program_id=no", 422, "UNKNOWN_PROGRAM", "program_id"),
        ("advertiser_id=shop&order_id=1&program_id=other", 422, "UNKNOWN_PROGRAM", "program_id"),
        ("advertiser_id=shop&order_id=1&offer_id=no", 422, "UNKNOWN_OFFER", "offer_id"),
        ("advertiser_id=shop&order_id=1&offer_id=bags", 422, "UNKNOWN_OFFER", "offer_id"),
        (f"transaction_id={TID}&amount=1e3x", 400, "INVALID_AMOUNT", "amount"),
        (f"transaction_id={TID}&amount=-5", 400, "INVALID_AMOUNT", "amount"),
        (f"transaction_id={TID}&currency=XXQ", 400, "UNKNOWN_CURRENCY", "currency"),
        (f"transaction_id={TID}&occurred_at=2027-01-01T00:00:00Z", 400, "OCCURRED_IN_FUTURE", "occurred_at"),
        (f"transaction_id={TID}&occurred_at=yesterday", 400, "INVALID_TIME", "occurred_at"),
        (f"transaction_id={TID}&session_id=x", 400, "INVALID_FIELD", "session_id"),
        (f"transaction_id={TID}&country=Germany", 400, "INVALID_FIELD", "country"),
    ],
)
def test_mistakes_name_their_field_and_are_kept(query: str, status: int, reason: str, field: str) -> None:
    door = FrontDoor()
    said = door.ask("GET", f"/pb?{query}")
    assert (said.status, said.json["reason"], said.json["field"]) == (status, reason, field)
    assert said.json["type"] == "urn:accredit:problem:" + reason.lower().replace("_", "-")
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.field, letter.door) == (reason, field, "postback")
    assert letter.original == f"GET /pb?{query}".encode()


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"{oops", JSON, 400, "INVALID_JSON"),
        (b"[1]", JSON, 400, "INVALID_EVENT"),
        (b'{"transaction_id":{"a":1}}', JSON, 400, "INVALID_FIELD"),
        (b'{"advertiser_id":"shop","order_id":1.5}', JSON, 400, "INVALID_FIELD"),
        (b'{"advertiser_id":"shop","order_id":"1","amount":1.5}', JSON, 400, "INVALID_AMOUNT"),
        (b"<xml/>", [("content-type", "text/xml")], 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"x" * 70_000, FORM, 413, "BODY_TOO_LARGE"),
        (b"x" * 10, [*FORM, ("content-length", "11")], 400, "BODY_CUT_OFF"),
    ],
)
def test_broken_bodies(body: bytes, headers: list[tuple[str, str]], status: int, reason: str) -> None:
    said = FrontDoor().ask("POST", "/pb", body, headers)
    assert (said.status, said.json["reason"]) == (status, reason)
