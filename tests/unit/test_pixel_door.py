"""Conversions from browsers: by cookie, by transaction id, and what a browser may not say."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from ingest.access.gate import Gate
from ingest.edge.visitor import Edge, Visitor
from ingest.errors import Refusal
from schemas.ids import conversion_id
from schemas.records import Conversion
from tests.support.front_door import KEYS, NOW, SESSION, FrontDoor

TID = KEYS.mint(bytes(15) + b"7", NOW - 1_000, "shop", b"123456")
COOKIE = [("cookie", f"a=b; accredit_sid={SESSION}")]
BEACON = [
    *COOKIE,
    ("content-type", "application/x-www-form-urlencoded;charset=UTF-8"),
    ("origin", "https://shop.example"),
]


def only_conversion(door: FrontDoor) -> Conversion:
    (record,) = door.publisher.records("conversions")
    assert isinstance(record, Conversion)
    return record


def test_an_image_is_joined_by_the_cookie_alone() -> None:
    door = FrontDoor()
    headers = [*COOKIE, ("user-agent", "Firefox")]
    said = door.ask("GET", "/px.gif?advertiser_id=shop&order_id=7&amount=5", headers=headers)
    record = only_conversion(door)
    assert (said.status, said.headers["content-type"], said.body[:6]) == (200, "image/gif", b"GIF89a")
    assert said.headers["accredit-result"] == "accepted"
    assert said.headers["cache-control"] == "no-store"
    assert (record.session_id, record.click_id, record.door) == (SESSION, None, "pixel")
    assert (record.ip, record.user_agent) == ("203.0.113.0", "Firefox")


def test_a_transaction_id_goes_before_the_cookie() -> None:
    door = FrontDoor()
    door.ask("GET", f"/px.gif?transaction_id={TID}&order_id=7", headers=COOKIE)
    assert only_conversion(door).session_id == KEYS.verify(TID).session_id


def test_an_iframe_says_what_became_of_it() -> None:
    door = FrontDoor()
    asked = "/px.html?offer_id=shoes&order_id=7"
    first, second = (door.ask("GET", asked, headers=COOKIE) for _ in range(2))
    assert b">accepted\n" in first.body
    assert b">duplicate\n" in second.body
    assert first.headers["content-security-policy"] == "default-src 'none'"


def test_a_beacon_is_a_form_and_may_be_read_by_its_page() -> None:
    door = FrontDoor()
    said = door.ask("POST", "/px", b"advertiser_id=shop&order_id=7&utm_source=mail", BEACON)
    assert said.json == {"status": "accepted", "conversion_id": conversion_id("shop", "sale", "7", None)}
    assert said.headers["access-control-allow-origin"] == "https://shop.example"
    assert said.headers["access-control-allow-credentials"] == "true"
    assert only_conversion(door).params == {"utm_source": "mail"}
    refused = door.ask("POST", "/px", b"advertiser_id=shop&order_id=7&amount=x", BEACON)
    assert (refused.status, refused.json["reason"]) == (400, "INVALID_AMOUNT")
    assert refused.headers["access-control-allow-origin"] == "https://shop.example"


def test_json_is_asked_for_first() -> None:
    said = FrontDoor().ask("OPTIONS", "/px", headers=[("origin", "https://shop.example")])
    assert said.status == 204
    assert said.headers["access-control-allow-headers"] == "content-type"
    assert "POST" in said.headers["access-control-allow-methods"]
    headers = [("content-type", "application/json"), ("origin", "null")]
    said = FrontDoor().ask("POST", "/px", orjson.dumps({"advertiser_id": "shop", "order_id": "7"}), headers)
    assert (said.status, said.headers["access-control-allow-origin"]) == (200, "null")


def test_without_order_and_transaction_id_a_session_counts_once_per_offer_and_goal() -> None:
    door = FrontDoor()
    queries = ["offer_id=shoes", "offer_id=shoes", "offer_id=shoes&goal=lead", "offer_id=hats", "offer_id=hats"]
    said = [door.ask("GET", f"/px?{query}", headers=COOKIE).json["status"] for query in queries]
    assert said == ["accepted", "duplicate", "accepted", "accepted", "duplicate"]
    refused = door.ask("GET", "/px?offer_id=shoes")
    assert (refused.status, refused.json["reason"], refused.json["field"]) == (400, "MISSING_FIELD", "order_id")


def test_what_a_browser_cannot_say_is_kept_aside() -> None:
    door = FrontDoor()
    given = "occurred_at=2026-05-01T00:00:00Z&session_id=018f3c1e-0000-7000-8000-000000000009&ip=1.2.3.4&user_agent=x"
    door.ask("GET", f"/px.gif?advertiser_id=shop&order_id=7&t=123&r=9&{given}", headers=COOKIE)
    record = only_conversion(door)
    assert (record.occurred_at, record.session_id, record.ip, record.user_agent) == (NOW, SESSION, "203.0.113.0", None)
    assert record.params["param_ip"] == "1.2.3.4"
    assert (record.params["t"], record.params["r"]) == ("123", "9")


@pytest.mark.parametrize("status", ["approved", "rejected", "reversed"])
def test_a_browser_has_no_say_in_money(status: str) -> None:
    door = FrontDoor()
    said = door.ask("GET", f"/px.gif?advertiser_id=shop&order_id=7&status={status}", headers=COOKIE)
    assert (said.status, said.json["field"]) == (400, "status")
    assert not door.publisher.records("adjustments")


class Unidentified(Edge):
    """A visitor who may not be identified."""

    def visitor(self, scope: Any, now: int, params: dict[str, str]) -> Visitor:
        return Visitor(None, "DE", None, None, None, None, None, may_identify=False)


class Erased(Edge):
    """Every session was erased."""

    def may_join(self, session_id: str) -> bool:
        return False


@pytest.mark.parametrize("edge", [Unidentified(), Erased()])
def test_the_cookie_is_not_read_where_it_must_not_be(edge: Edge) -> None:
    door = FrontDoor(edge=edge)
    door.ask("GET", "/px.gif?advertiser_id=shop&order_id=7", headers=COOKIE)
    door.ask("GET", f"/px.gif?transaction_id={TID}&order_id=8", headers=COOKIE)
    by_order, by_click = door.publisher.records("conversions")
    assert isinstance(by_order, Conversion)
    assert isinstance(by_click, Conversion)
    assert by_order.session_id != SESSION
    assert by_click.session_id == KEYS.verify(TID).session_id


class NoPixels(Gate):
    """An advertiser whose conversions come from its server alone."""

    def pixel(self, scope: Any, advertiser_id: str, now: int) -> None:
        raise Refusal(403, "PIXEL_NOT_ALLOWED", f"{advertiser_id} reports from its server")


@pytest.mark.parametrize("path", ["/px.gif", "/px.html", "/px", "/aff_l"])
def test_the_gate_is_asked_for_pixels(path: str) -> None:
    door = FrontDoor(gate=NoPixels())
    said = door.ask("GET", f"{path}?offer_id=shoes&order_id=7", headers=COOKIE)
    assert said.status == 403
    assert not door.publisher.records("conversions")
    assert len(door.publisher.records("dead-letters")) == 1


def test_a_503_has_tunes_form_on_tunes_paths() -> None:
    door = FrontDoor()
    door.publisher.away = True
    for path in ("/aff_l", "/aff_lsr"):
        said = door.ask("GET", f"{path}?offer_id=shoes&order_id=7", headers=COOKIE)
        assert (said.status, said.headers["retry-after"]) == (503, "5")
        assert said.body.startswith(b"success=false;err_code=NOT_DURABLE;")
    said = FrontDoor(index=None).ask("GET", "/aff_lsr?offer_id=shoes&order_id=7")
    assert (said.status, said.body[:34]) == (503, b"success=false;err_code=NO_CATALOG;")
    said = FrontDoor().ask("GET", "/aff_goal?a=x&offer_id=shoes&order_id=7")
    assert (said.status, said.body[:37]) == (400, b"success=false;err_code=INVALID_FIELD;")
