"""Segment's SDKs pointed here: payloads as analytics.js, the server libraries and mobile ones send them."""

from __future__ import annotations

import gzip
from base64 import b64encode
from typing import Any

import orjson
import pytest

from ingest.access.book import AccessBook
from ingest.access.config import AccessConfig
from ingest.access.follow import Access
from ingest.access.gate import Gate
from ingest.config import IngestConfig
from schemas.customer import customer_hash
from schemas.ids import session_key
from schemas.records import Conversion, DeadLetter
from schemas.times import parse_time
from tests.support.front_door import KEYS, NOW, SESSION, FrontDoor, Said
from tests.unit.test_access_gate import ANNA, ANNA_KEY, SHOP, SHOP_KEY

CONFIG = {
    "write_keys": {"browser-key": "shop", "other-key": "other"},
    "events": {"Order Completed": "sale", "Signed Up": "lead"},
}
ANONYMOUS = "507f191e-810c-4197-93a6-1ab7a6b2c9ba"
CLICK_ID = KEYS.mint(session_key(SESSION), NOW - 60_000, "shop", bytes(6))
ORDER: dict[str, Any] = {
    "order_id": "50314b8e9bcf000000000000",
    "affiliation": "Google Store",
    "total": 27.5,
    "subtotal": 22.5,
    "revenue": 25.00,
    "shipping": 3,
    "tax": 2,
    "coupon": "hasbros",
    "currency": "EUR",
    "products": [{"product_id": "507f1f77bcf86cd799439011", "price": 19, "quantity": 1}],
}
BROWSER_CALL: dict[str, Any] = {
    "timestamp": "2026-05-10T11:59:58.000Z",
    "integrations": {},
    "anonymousId": ANONYMOUS,
    "event": "Order Completed",
    "type": "track",
    "properties": ORDER,
    "context": {
        "page": {
            "path": "/thanks",
            "referrer": "https://shop.example/checkout",
            "search": "",
            "title": "Thanks",
            "url": "https://shop.example/thanks",
        },
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64)",
        "campaign": {"name": "spring", "source": "blog", "medium": "affiliate"},
        "locale": "en-GB",
        "library": {"name": "analytics.js", "version": "next-1.70.0"},
        "timezone": "Europe/Berlin",
    },
    "messageId": "ajs-next-1715342398000-4b1b8b6e",
    "userId": "user-42",
    "writeKey": "browser-key",
    "sentAt": "2026-05-10T11:59:59.000Z",
    "_metadata": {"bundled": ["Segment.io"], "unbundled": [], "bundledIds": []},
}


def door_of(**config: Any) -> FrontDoor:
    return FrontDoor(config=IngestConfig.model_validate({"segment": {**CONFIG, **config}}))


def call(door: FrontDoor, path: str, content: Any, **headers: str) -> Said:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return door.ask("POST", path, orjson.dumps(content), named)


def conversion_of(door: FrontDoor) -> Conversion:
    (record,) = door.publisher.records()
    assert isinstance(record, Conversion)
    return record


def basic(key: str) -> str:
    return "Basic " + b64encode(f"{key}:".encode()).decode()


def test_a_purchase_from_analytics_js_is_a_conversion() -> None:
    door = door_of()
    said = call(door, "/v1/t", BROWSER_CALL, content_type="text/plain", origin="https://shop.example")
    assert (said.status, said.json) == (200, {"success": True})
    assert said.headers["access-control-allow-origin"] == "*"
    sale = conversion_of(door)
    assert (sale.advertiser_id, sale.goal, sale.order_id) == ("shop", "sale", ORDER["order_id"])
    assert (sale.amount, sale.currency, sale.promo_code) == ("25.0", "EUR", "hasbros")
    assert (sale.session_id, sale.customer_id) == (ANONYMOUS, customer_hash("user-42"))
    assert sale.occurred_at == NOW - 1_000, "as long before it was sent as the browser's clock says"
    assert sale.params["utm_source"] == "blog"
    assert sale.params["message_id"] == BROWSER_CALL["messageId"]
    assert sale.door == "segment"


@pytest.mark.parametrize(
    "place",
    [
        {"properties": {**ORDER, "transaction_id": CLICK_ID}},
        {"context": {"page": {"url": f"https://shop.example/thanks?x=1&whatever={CLICK_ID}"}}},
        {"context": {"page": {"referrer": f"https://shop.example/?tid={CLICK_ID}"}}},
        {"context": {"campaign": {"content": CLICK_ID}}},
    ],
)
def test_a_click_id_of_ours_is_found_wherever_it_stands(place: dict[str, Any]) -> None:
    door = door_of()
    assert call(door, "/v1/track", {**BROWSER_CALL, **place}).status == 200
    assert (conversion_of(door).click_id, conversion_of(door).session_id) == (CLICK_ID, SESSION)


def test_a_transaction_id_of_the_shops_own_is_no_mistake() -> None:
    door = door_of()
    call(door, "/v1/track", {**BROWSER_CALL, "properties": {**ORDER, "transaction_id": "x" * 60}})
    assert conversion_of(door).click_id is None


def test_a_batch_of_a_server_library() -> None:
    """analytics-python: Basic authentication, gzip, one time of sending for all."""
    door = door_of(fields={"advertiser_id": "properties.shop"})
    stamp = {"timestamp": "2026-05-10T11:00:00+00:00", "context": {"library": {"name": "analytics-python"}}}
    batch = [
        {"type": "identify", "userId": "u1", "traits": {"email": "a@example.org"}, "messageId": "m1", **stamp},
        {"type": "track", "userId": "u1", "event": "Product Viewed", "messageId": "m2", "properties": {}, **stamp},
        {"type": "track", "userId": "u1", "event": "order  completed", "messageId": "m3", **stamp}
        | {"properties": {"order_id": 1001, "total": "49.90", "shop": "shop"}},
        {"type": "track", "userId": "u1", "event": "Signed Up", "messageId": "m4", **stamp}
        | {"properties": {"shop": "shop"}},
        {"type": "track", "userId": "u1", "event": "Order Completed", "messageId": "m5", **stamp}
        | {"properties": {"order_id": "1002", "total": -5, "shop": "shop", "email": "b@example.org"}},
    ]
    body = gzip.compress(orjson.dumps({"batch": batch, "sentAt": "2026-05-10T12:00:00Z"}))
    headers = [("content-encoding", "gzip"), ("authorization", basic("any")), ("content-type", "application/json")]
    said = door.ask("POST", "/v1/batch", body, headers)
    assert said.status == 200
    assert said.json["success"] is True
    (rejected,) = said.json["rejected"]
    assert (rejected["index"], rejected["reason"], rejected["field"]) == (4, "INVALID_AMOUNT", "amount")
    sale, lead = door.publisher.records("conversions")
    assert isinstance(sale, Conversion)
    assert isinstance(lead, Conversion)
    assert (sale.order_id, sale.amount, sale.occurred_at) == ("1001", "49.90", parse_time("2026-05-10T11:00:00Z"))
    assert (lead.goal, lead.order_id) == ("lead", "message:m4")
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    assert b"b@example.org" not in letter.original
    assert b'"m5"' in letter.original
    assert b'messages_ignored_total{door="segment",kind="identify"} 1.0' in door.metrics.exposition()
    assert b'messages_ignored_total{door="segment",kind="track"} 1.0' in door.metrics.exposition()


@pytest.mark.parametrize("path", ["/v1/page", "/v1/p", "/v1/identify", "/v1/i", "/v1/group", "/v1/screen", "/v1/m"])
def test_what_is_no_purchase_is_acknowledged_and_written_nowhere(path: str) -> None:
    door = door_of()
    said = call(door, path, {"userId": "u", "writeKey": "browser-key", "properties": {"path": "/"}})
    assert (said.status, said.json) == (200, {"success": True})
    assert door.publisher.messages == []


def test_money_stays_what_was_written() -> None:
    door = door_of()
    body = orjson.dumps({**BROWSER_CALL, "properties": {}}).replace(
        b'"properties":{}', b'"properties":{"order_id":"o","revenue":0.30000000000000004}'
    )
    assert door.ask("POST", "/v1/track", body).status == 200
    assert conversion_of(door).amount == "0.3"


def test_preflight_and_refusals_can_be_read_by_a_page() -> None:
    door = door_of()
    said = door.ask("OPTIONS", "/v1/track", b"", [("access-control-request-headers", "authorization, content-type")])
    assert said.status == 204
    assert "authorization" in said.headers["access-control-allow-headers"]
    refused = door.ask("POST", "/v1/track", b"{oops")
    assert (refused.status, refused.json["reason"]) == (400, "INVALID_JSON")
    assert refused.headers["access-control-allow-origin"] == "*"
    lone = door.ask("POST", "/v1/track", b'{"event":"\\ud800","type":"track"}')
    assert lone.json["reason"] == "INVALID_JSON"


def test_an_unknown_write_key_is_told_and_kept() -> None:
    door = door_of()
    said = call(door, "/v1/track", {**BROWSER_CALL, "writeKey": "nobodys"})
    assert (said.status, said.json["reason"], said.json["field"]) == (400, "MISSING_FIELD", "advertiser_id")
    assert [message.topic for message in door.publisher.messages] == ["dead-letters"]


def test_a_browser_may_not_be_joined_where_the_visitor_objects() -> None:
    door = door_of()
    call(door, "/v1/t", BROWSER_CALL, sec_gpc="1")
    assert conversion_of(door).session_id != ANONYMOUS
    door = door_of()
    tagged = {**BROWSER_CALL, "properties": {**ORDER, "transaction_id": CLICK_ID}}
    call(door, "/v1/t", tagged, sec_gpc="1")
    assert conversion_of(door).session_id == SESSION


def test_nothing_is_answered_before_it_is_durable() -> None:
    door = door_of()
    door.publisher.away = True
    assert call(door, "/v1/track", BROWSER_CALL).status == 503


def test_a_servers_write_key_is_an_api_key_of_its_advertiser() -> None:
    def front() -> FrontDoor:
        access = AccessConfig(production=True)
        book = Access.of(AccessBook(keys=(SHOP_KEY, ANNA_KEY)))
        config = IngestConfig.model_validate({"segment": CONFIG}).model_copy(update={"access": access})
        return FrontDoor(config=config, gate=Gate(access, lambda: book, lambda: NOW))

    server_call = {**BROWSER_CALL, "writeKey": None}
    door = front()
    assert call(door, "/v1/track", server_call, authorization=basic(SHOP.text)).status == 200
    assert conversion_of(door).advertiser_id == "shop"
    door = front()
    assert call(door, "/v1/batch", {"batch": [server_call], "writeKey": SHOP.text}).status == 200
    assert conversion_of(door).advertiser_id == "shop"
    assert call(front(), "/v1/track", server_call).status == 401
    assert call(front(), "/v1/track", server_call, authorization=basic("k1")).status == 401
    partners = front()
    assert call(partners, "/v1/track", server_call, authorization=basic(ANNA.text)).status in (400, 403)
    assert partners.publisher.records("conversions") == []
    browser = call(front(), "/v1/track", BROWSER_CALL)
    assert (browser.status, browser.json["reason"]) == (403, "PIXEL_NOT_ALLOWED"), (
        "in production pixels are opened first"
    )
