"""Postbacks: three ways to bring the parameters, one conversion; every mistake names its field."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from ingest.access.gate import Gate
from ingest.config import IngestConfig
from ingest.conversion_config import PostbackConfig
from ingest.conversion_retry import is_conversion_link, reported_again
from ingest.errors import Refusal
from schemas.customer import customer_hash
from schemas.ids import advertiser_tag, conversion_id
from schemas.records import Adjustment, Conversion, DeadLetter
from schemas.times import format_time
from tests.support.front_door import INDEX, KEYS, NOW, SESSION, FrontDoor

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
    ],
)
def test_broken_bodies(body: bytes, headers: list[tuple[str, str]], status: int, reason: str) -> None:
    said = FrontDoor().ask("POST", "/pb", body, headers)
    assert (said.status, said.json["reason"]) == (status, reason)


ANNA = hashlib.sha256(b"anna@shop.example").hexdigest()


@pytest.mark.parametrize("sent", ["anna@shop.example", " Anna@Shop.Example ", ANNA, ANNA.upper()])
def test_a_customer_is_hashed_on_arrival(sent: str) -> None:
    door = FrontDoor()
    body = orjson.dumps({"transaction_id": TID, "customer": sent})
    assert door.ask("POST", "/pb", body, JSON).status == 200
    assert only_conversion(door).customer_id == ANNA == customer_hash("anna@shop.example")


def test_another_name_of_a_customer_keeps_its_case() -> None:
    assert customer_hash("C-7a") != customer_hash("C-7A")
    assert customer_hash(" C-7a ") == hashlib.sha256(b"C-7a").hexdigest()


def test_no_address_and_no_secret_is_kept_wherever_it_stands() -> None:
    door = FrontDoor()
    query = f"transaction_id={TID}&customer_id=anna%40shop.example&adv1=anna@shop.example&note=of+anna@shop.example,7"
    assert door.ask("GET", f"/pb?{query}&token=geheim&verification_token=geheim&anna@shop.example=1").status == 200
    record = only_conversion(door)
    assert (record.customer_id, record.adv1) == (ANNA, ANNA)
    assert record.params == {"note": f"of {ANNA},7", ANNA: "1"}
    assert b"geheim" not in door.publisher.messages[0].value


@pytest.mark.parametrize(
    ("query", "body", "headers"),
    [
        ("amount=x&customer=anna@shop.example&token=geheim", b"", []),
        ("amount=x&email=anna%2540shop.example&c=anna%40shop.example&security%5Ftoken=geheim", b"", []),
        ("amount=x", b"customer=anna%40shop.example&token=geheim", FORM),
        ("amount=x", b'{"customer":"anna@shop.example","token":"geheim","a":["anna@shop.example"]}', JSON),
        ("amount=x", b'{"customer":"anna@shop.example","token":"geheim",oops', JSON),
        ("amount=x", b'{"email":4711,"token":"geheim","adv1":{"x":"anna@shop.example"}}', JSON),
        ("amount=x", b"<customer>anna@shop.example</customer>", [("content-type", "text/xml")]),
    ],
)
def test_dead_letters_keep_neither(query: str, body: bytes, headers: list[tuple[str, str]]) -> None:
    door = FrontDoor()
    assert door.ask("POST", f"/pb?{query}", body, headers).status >= 400
    (message,) = door.publisher.messages
    assert b"anna" not in message.value
    assert b"shop.example" not in message.value
    assert b"4711" not in message.value
    assert b"geheim" not in message.value
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    assert b"amount=x" in letter.original


def test_a_status_is_a_conversion_an_adjustment_or_both() -> None:
    for status, kinds in {
        "": [Conversion],
        "pending": [Conversion],
        "hold": [Conversion],
        "Approved": [Conversion, Adjustment],
        "sale": [Conversion, Adjustment],
        "rejected": [Adjustment],
        "chargeback": [Adjustment],
    }.items():
        door = FrontDoor()
        assert door.ask("GET", f"/pb?transaction_id={TID}&order_id=7&amount=5&status={status}").status == 200
        assert [type(record) for record in door.publisher.records()] == kinds, status
        assert {record.conversion_id for record in door.publisher.records()} == {  # type: ignore[union-attr]
            conversion_id("shop", "sale", "7", None)
        }


def test_what_is_said_of_a_status() -> None:
    door = FrontDoor()
    sold = f"/pb?transaction_id={TID}&amount=5"
    known = conversion_id("shop", "sale", None, TID)
    assert door.ask("GET", sold).json == {"status": "accepted", "conversion_id": known}
    said = door.ask("GET", f"{sold}&status=approved")
    assert said.json == {"status": "accepted", "conversion": "duplicate", "action": "approve", "conversion_id": known}
    assert door.ask("GET", f"{sold}&status=refunded").json["action"] == "reverse"
    actions = [record.action for record in door.publisher.records() if isinstance(record, Adjustment)]
    assert actions == ["approve", "reverse"]
    said = door.ask("GET", f"{sold}&status=wonderful")
    assert (said.status, said.json["reason"], said.json["field"]) == (400, "INVALID_FIELD", "status")


def test_an_installations_own_names_and_words() -> None:
    postbacks = {"aliases": {"summe": "amount", "adv_sub": "order_id"}, "statuses": {"Storno": "reversed"}}
    door = FrontDoor(config=IngestConfig.model_validate({"postbacks": postbacks}))
    assert door.ask("GET", f"/pb?transaction_id={TID}&adv_sub=7&summe=5").status == 200
    assert door.ask("GET", f"/pb?transaction_id={TID}&adv_sub=7&status=storno").status == 200
    sold, reversed_ = door.publisher.records()
    assert isinstance(sold, Conversion)
    assert isinstance(reversed_, Adjustment)
    assert (sold.order_id, sold.amount, reversed_.action) == ("7", "5", "reverse")
    assert sold.conversion_id == reversed_.conversion_id
    with pytest.raises(ValueError, match="is no field of a conversion"):
        IngestConfig.model_validate({"postbacks": {"aliases": {"x": "y"}}})


@pytest.mark.parametrize(
    "query",
    [
        "nid=1&transaction_id=TID&amount=5&adv1=a&coupon_code=SAVE&order_id=7&event_id=lead",  # Everflow
        "subid=TID&payout=5&tid=7&sub_id_1=a&goal=lead&coupon=SAVE&status=lead",  # Keitaro
        "cid=TID&payout=5&txid=7&et=lead&param1=a&promo_code=SAVE",  # Voluum
        "r=TID&p=5&t=7&e=lead&ecco=SAVE&adv1=a",  # CAKE
    ],
)
def test_dialects(query: str) -> None:
    door = FrontDoor()
    assert door.ask("GET", "/pb?" + query.replace("TID", TID)).status == 200
    record = only_conversion(door)
    assert (record.click_id, record.amount, record.order_id, record.goal) == (TID, "5", "7", "lead")
    assert (record.adv1, record.promo_code) == ("a", "SAVE")


def test_an_offer_brings_its_advertiser() -> None:
    door = FrontDoor()
    assert door.ask("GET", "/pb?offer_id=bags&order_id=7").status == 200
    assert only_conversion(door).advertiser_id == "other"


def test_a_code_alone_is_one_conversion_per_code_buyer_amount_and_day() -> None:
    door = FrontDoor()
    asked = "/pb?advertiser_id=shop&coupon=SAVE&amount=5"
    assert door.ask("GET", asked).json["status"] == "accepted"
    assert door.ask("GET", asked.replace("SAVE", "save")).json["status"] == "duplicate"
    assert door.ask("GET", f"{asked}&customer=b@c.de").json["status"] == "accepted"
    assert door.ask("GET", f"{asked}&occurred_at=2026-05-09T23:00:00Z").json["status"] == "accepted"


def test_a_copy_is_published_and_said_to_be_one() -> None:
    door = FrontDoor()
    asked = "/pb?advertiser_id=shop&order_id=7&amount=5.0"
    said = [door.ask("GET", f"{asked}{more}") for more in ("", "", "0&currency=EUR", "&currency=USD", "&goal=lead")]
    assert [one.json.get("reason") or one.json["status"] for one in said] == [
        "accepted",
        "duplicate",
        "duplicate",
        "CONFLICT",
        "accepted",
    ]
    assert said[3].status == 409
    assert len(door.publisher.records("conversions")) == 5
    assert not door.publisher.records("dead-letters")


def test_what_was_not_made_durable_is_not_remembered() -> None:
    door = FrontDoor()
    door.publisher.away = True
    assert door.ask("GET", "/pb?advertiser_id=shop&order_id=7").status == 503
    door.publisher.away = False
    assert door.ask("GET", "/pb?advertiser_id=shop&order_id=7").json["status"] == "accepted"


def test_a_dead_letter_holds_what_a_retry_needs() -> None:
    door = FrontDoor()
    body = b"order_id=7&amount=5&customer=anna%40shop.example&status=approved"
    assert door.ask("POST", f"/pb?transaction_id={STRANGERS}&token=geheim", body, FORM).status == 422
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    assert is_conversion_link(letter.original)
    tags = {advertiser_tag("nobody"): "shop"}
    index = replace(INDEX, tags=tags)
    again = reported_again(letter.original, letter.door or "", PostbackConfig(), KEYS, index, letter.received_at)
    sold, approved = again
    assert (sold["advertiser_id"], sold["order_id"], sold["customer_id"]) == ("shop", "7", ANNA)
    assert sold["occurred_at"] == format_time(NOW)
    assert (approved["type"], approved["action"]) == ("adjustment", "approve")
    assert not is_conversion_link(b'{"type":"click"}')
    assert not is_conversion_link(b"GET /c/shoes?partner=anna")


class Bouncer(Gate):
    """Takes postbacks of `shop` with a token."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, bytes]] = []

    def postback(self, scope: Any, given: Mapping[str, Any], body: bytes, advertiser_id: str, now: int) -> None:
        self.asked.append((advertiser_id, body))
        if given.get("token") != "geheim":
            raise Refusal(401, "POSTBACK_TOKEN", "no token", field="token")


def test_the_gate_is_asked_before_anything_is_published() -> None:
    gate = Bouncer()
    door = FrontDoor(gate=gate)
    said = door.ask("POST", "/pb?token=falsch", f"transaction_id={TID}".encode(), FORM)
    assert (said.status, said.json["reason"]) == (401, "POSTBACK_TOKEN")
    assert not door.publisher.records("conversions")
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    assert letter.original == b"POST /pb\r\n\r\n" + f"transaction_id={TID}".encode()
    assert door.ask("GET", f"/pb?token=geheim&transaction_id={TID}").status == 200
    assert gate.asked == [("shop", f"transaction_id={TID}".encode()), ("shop", b"")]
