"""Snowplow's trackers pointed here: requests as the JavaScript, mobile and server trackers send them."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from ingest.config import IngestConfig
from schemas.customer import customer_hash
from schemas.ids import session_key
from schemas.records import Conversion, DeadLetter
from tests.support.front_door import KEYS, NOW, SESSION, FrontDoor, Said

TP2 = "/com.snowplowanalytics.snowplow/tp2"
CONFIG = {
    "apps": {"web-shop": "shop"},
    "structured": {"checkout/purchase": "sale"},
    "self_describing": {"com.acme/sign_up": "lead"},
}
CLICK_ID = KEYS.mint(session_key(SESSION), NOW - 60_000, "shop", bytes(6))
DUID = "8e2a3c8e-6f5b-4ba9-93a6-1ab7a6b2c9ba"
BROWSER: dict[str, Any] = {
    "eid": "5a305bf5-32fc-40d9-b0e8-66052f0f2c95",
    "tv": "js-3.24.0",
    "tna": "sp1",
    "aid": "web-shop",
    "p": "web",
    "cookie": "1",
    "cs": "UTF-8",
    "lang": "en-GB",
    "res": "3440x1440",
    "cd": "24",
    "tz": "Europe/Berlin",
    "dtm": str(NOW - 5_000),
    "stm": str(NOW - 2_000),
    "vp": "1000x660",
    "ds": "1000x660",
    "vid": "3",
    "sid": "87857856-a603-4eb8-9609-cd83ad7e3b2a",
    "duid": DUID,
    "uid": "user-42",
    "url": "https://shop.example/thanks",
    "refr": "https://shop.example/checkout",
}
SCHEMA = "iglu:com.snowplowanalytics.snowplow"
TRANSACTION = {
    "schema": f"{SCHEMA}.ecommerce/transaction/jsonschema/1-0-0",
    "data": {
        "transaction_id": "T-1",
        "revenue": 230.5,
        "currency": "EUR",
        "discount_code": "ANNA10",
        "total_quantity": 2,
    },
}
PAGE = {"schema": f"{SCHEMA}/web_page/jsonschema/1-0-0", "data": {"id": "9a8c1f0e-1111-4222-8333-944445555666"}}


def described(schema: str, data: Any) -> dict[str, Any]:
    inner = {"schema": schema, "data": data}
    return {"schema": f"{SCHEMA}/unstruct_event/jsonschema/1-0-0", "data": inner}


def contexts(*entities: Any) -> dict[str, Any]:
    return {"schema": f"{SCHEMA}/contexts/jsonschema/1-0-0", "data": list(entities)}


def encoded(content: Any) -> str:
    """As the JavaScript tracker does it: URL-safe, without padding."""
    return urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")


ACTION = f"{SCHEMA}.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2"
PURCHASE = {
    **BROWSER,
    "e": "ue",
    "ue_px": encoded(described(ACTION, {"type": "transaction"})),
    "cx": encoded(contexts(PAGE, TRANSACTION)),
}


def door_of(**config: Any) -> FrontDoor:
    return FrontDoor(config=IngestConfig.model_validate({"snowplow": {**CONFIG, **config}}))


def post(door: FrontDoor, *events: Any, **headers: str) -> Said:
    body = orjson.dumps({"schema": f"{SCHEMA}/payload_data/jsonschema/1-0-4", "data": list(events)})
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return door.ask("POST", TP2, body, [("content-type", "application/json; charset=utf-8"), *named])


def conversion_of(door: FrontDoor) -> Conversion:
    (record,) = door.publisher.records()
    assert isinstance(record, Conversion)
    return record


def test_a_transaction_of_the_ecommerce_plugin() -> None:
    door = door_of()
    said = post(door, PURCHASE, origin="https://shop.example")
    assert (said.status, said.body) == (200, b"ok")
    assert said.headers["access-control-allow-origin"] == "https://shop.example"
    assert said.headers["access-control-allow-credentials"] == "true"
    sale = conversion_of(door)
    assert (sale.advertiser_id, sale.goal, sale.order_id) == ("shop", "sale", "T-1")
    assert (sale.amount, sale.currency, sale.promo_code) == ("230.5", "EUR", "ANNA10")
    assert (sale.session_id, sale.customer_id) == (DUID, customer_hash("user-42"))
    assert sale.occurred_at == NOW - 3_000, "as long before it was sent as the device's clock says"
    assert (sale.params["event_id"], sale.door) == (BROWSER["eid"], "snowplow")


def test_the_same_as_a_mobile_tracker_has_it() -> None:
    """Plain JSON parameters, standard base64 elsewhere, and a true timestamp."""
    door = door_of()
    event = {**BROWSER, "e": "ue", "p": "mob", "ttm": str(NOW - 60_000)}
    event["ue_pr"] = orjson.dumps(described(ACTION, {"type": "transaction"})).decode()
    event["cx"] = b64encode(orjson.dumps(contexts(TRANSACTION))).decode()
    assert post(door, event).status == 200
    assert (conversion_of(door).order_id, conversion_of(door).occurred_at) == ("T-1", NOW - 60_000)


def test_google_analytics_enhanced_ecommerce() -> None:
    door = door_of()
    google = "iglu:com.google.analytics.enhanced-ecommerce"
    fields = {"id": "G-1", "revenue": "12.00", "coupon": "ANNA10", "currency": "EUR"}
    cx = encoded(contexts({"schema": f"{google}/actionFieldObject/jsonschema/1-0-0", "data": fields}))
    ue = encoded(described(f"{google}/action/jsonschema/1-0-0", {"action": "purchase"}))
    post(door, {**BROWSER, "e": "ue", "ue_px": ue, "cx": cx})
    sale = conversion_of(door)
    assert (sale.order_id, sale.amount, sale.promo_code) == ("G-1", "12.00", "ANNA10")


def test_a_transaction_by_get_and_its_items() -> None:
    door = door_of()
    order = {"e": "tr", "tr_id": "o-7", "tr_af": "web", "tr_tt": "49.90", "tr_tx": "7.97", "tr_sh": "0", "tr_cu": "EUR"}
    item = {
        "e": "ti",
        "ti_id": "o-7",
        "ti_sk": "1001",
        "ti_nm": "shoes",
        "ti_pr": "49.90",
        "ti_qu": "1",
        "ti_cu": "EUR",
    }
    for event in (order, item):
        said = door.ask("GET", f"/i?{urlencode({**BROWSER, **event})}")
        assert (said.status, said.headers["content-type"]) == (200, "image/gif")
        assert said.body.startswith(b"GIF89a")
        assert "no-store" in said.headers["cache-control"]
    sale = conversion_of(door)
    assert (sale.order_id, sale.amount, sale.currency) == ("o-7", "49.90", "EUR")
    assert b'messages_ignored_total{door="snowplow",kind="transaction_item"} 1.0' in door.metrics.exposition()


def test_structured_and_self_describing_events_that_configuration_names() -> None:
    door = door_of(fields={"adv1": "event.se_pr", "order_id": ["data.number", "event.se_la"]})
    sale = {"e": "se", "se_ca": "checkout", "se_ac": "purchase", "se_la": "o-8", "se_pr": "vip", "se_va": "10.00"}
    lead = {"e": "ue", "ue_px": encoded(described("iglu:com.acme/sign_up/jsonschema/1-0-0", {"plan": "pro"}))}
    assert post(door, {**BROWSER, **sale}, {**BROWSER, **lead}).status == 200
    first, second = door.publisher.records("conversions")
    assert isinstance(first, Conversion)
    assert isinstance(second, Conversion)
    assert (first.order_id, first.amount, first.adv1) == ("o-8", "10.00", "vip")
    assert (second.goal, second.order_id) == ("lead", f"event:{BROWSER['eid']}")


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"e": "pv", "page": "Thanks"}, "page_view"),
        ({"e": "pp", "pp_mix": "0"}, "page_ping"),
        ({"e": "se", "se_ca": "video", "se_ac": "play"}, "structured"),
        ({"e": "ue", "ue_px": encoded(described(ACTION, {"type": "add_to_cart"}))}, "self_describing"),
        ({"e": "zz"}, "other"),
    ],
)
def test_what_is_no_purchase_is_acknowledged_and_written_nowhere(event: dict[str, str], kind: str) -> None:
    door = door_of()
    assert post(door, {**BROWSER, **event}).status == 200
    assert door.publisher.messages == []
    assert f'messages_ignored_total{{door="snowplow",kind="{kind}"}} 1.0'.encode() in door.metrics.exposition()


def test_the_click_id_in_the_page_goes_before_the_cookie_and_that_before_duid() -> None:
    cookie = "018f3c1e-0000-7000-8000-00000000000a"
    door = door_of()
    post(door, PURCHASE, cookie=f"accredit_sid={cookie}")
    assert conversion_of(door).session_id == cookie
    door = door_of()
    post(door, {**PURCHASE, "url": f"https://shop.example/?tid={CLICK_ID}"}, cookie=f"accredit_sid={cookie}")
    assert (conversion_of(door).session_id, conversion_of(door).click_id) == (SESSION, CLICK_ID)
    door = door_of()
    post(door, PURCHASE, cookie=f"accredit_sid={cookie}", sec_gpc="1")
    assert conversion_of(door).session_id not in (cookie, DUID)


def test_a_server_trackers_own_address_and_agent_are_not_the_visitors() -> None:
    door = door_of()
    post(door, {**PURCHASE, "ua": "Mozilla/5.0", "ip": "198.51.100.7"}, user_agent="python-requests/2")
    assert (conversion_of(door).ip, conversion_of(door).user_agent) == (None, None)


def test_an_app_that_nobody_listed_is_told_and_kept() -> None:
    door = door_of()
    said = post(door, {**PURCHASE, "aid": "nobody"}, origin="https://shop.example")
    assert (said.status, said.json["reason"], said.json["field"]) == (422, "UNKNOWN_ADVERTISER", "aid")
    assert said.headers["access-control-allow-origin"] == "https://shop.example"
    (letter,) = door.publisher.records()
    assert isinstance(letter, DeadLetter)
    assert post(door, {**BROWSER, "e": "pv", "aid": "nobody"}).status == 200


def test_a_bad_event_costs_only_itself() -> None:
    door = door_of()
    broken = {**BROWSER, "e": "ue", "ue_px": "%%%"}
    assert post(door, broken, PURCHASE, 7, None).status == 200
    assert len(door.publisher.records("conversions")) == 1
    assert len(door.publisher.records("dead-letters")) == 3


@pytest.mark.parametrize("body", [b"", b"[]", b"{oops", b'{"data":1}', b'{"data":"' + b"\xff" + b'"}'])
def test_an_unusable_body_is_400_and_one_dead_letter(body: bytes) -> None:
    door = door_of()
    assert door.ask("POST", TP2, body).status == 400
    assert [message.topic for message in door.publisher.messages] == ["dead-letters"]
    assert door_of().ask("GET", "/i").json["field"] == "e"


def test_preflight() -> None:
    said = door_of().ask("OPTIONS", TP2, b"", [("origin", "https://shop.example")])
    assert said.status == 200
    assert said.headers["access-control-allow-origin"] == "https://shop.example"
    assert "sp-anonymous" in said.headers["access-control-allow-headers"]
