"""Tracking links: what is recorded, where the visitor goes, what the sender of a broken link is told."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from ingest.catalog_index import CatalogIndex
from ingest.config import IngestConfig
from ingest.edge.visitor import Edge, Visitor
from ingest.http import Scope
from schemas.catalog import load_catalog
from schemas.records import Click, DeadLetter
from tests.support.front_door import CATALOG, KEYS, NOW, SESSION, FrontDoor

DAY_S = 86_400


def only_click(door: FrontDoor) -> Click:
    (record,) = door.publisher.records("clicks")
    assert isinstance(record, Click)
    return record


def test_click_is_recorded_and_the_visitor_goes_on() -> None:
    door = FrontDoor()
    said = door.ask(
        "GET",
        "/c/shoes?partner=anna&source=blog&sub1=a%20b%26c&utm_source=news&promo_code=SAVE",
        headers=[("user-agent", "Firefox"), ("referer", "https://blog.example/"), ("host", "go.example")],
    )
    click = only_click(door)
    assert said.status == 302
    assert said.headers["location"] == f"https://shop.example/shoes?tid={click.click_id}&p=anna&s=a%20b%26c&x="
    assert said.headers["cache-control"] == "no-store"
    assert "referrer-policy" in said.headers
    assert (click.type, click.partner_id, click.offer_id, click.door) == ("click", "anna", "shoes", "redirect")
    assert (click.source, click.sub1, click.promo_code) == ("blog", "a b&c", "SAVE")
    assert (click.user_agent, click.referrer, click.ip) == ("Firefox", "https://blog.example/", "203.0.113.0")
    assert click.params["utm_source"] == "news"
    assert (click.occurred_at, click.received_at) == (NOW, NOW)
    parts = KEYS.verify(click.click_id)
    assert (parts.session_id, parts.clicked_at) == (click.session_id, NOW)


def test_message_is_keyed_by_the_session_at_the_event_time_with_headers() -> None:
    door = FrontDoor()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    door.ask("GET", "/c/shoes?partner=anna", headers=[("traceparent", trace)])
    (message,) = door.publisher.messages
    click = only_click(door)
    assert message.key == bytes.fromhex(click.session_id.replace("-", ""))
    assert message.timestamp == NOW
    assert dict(message.headers) == {
        "ce_id": click.click_id,
        "ce_type": b"accredit.click",
        "ce_time": b"2026-05-10T12:00:00.000Z",
        "traceparent": trace,
    }


@pytest.mark.parametrize("name", ["partner", "partner_id", "aff_id", "pid"])
def test_partner_has_several_names(name: str) -> None:
    door = FrontDoor()
    door.ask("GET", f"/c/shoes?{name}=anna")
    assert only_click(door).partner_id == "anna"


def test_session_of_the_cookie_is_kept() -> None:
    door = FrontDoor()
    said = door.ask("GET", "/c/shoes?partner=anna", headers=[("cookie", f"a=b; accredit_sid={SESSION}; c=d")])
    assert only_click(door).session_id == SESSION
    assert said.headers["set-cookie"].startswith(f"accredit_sid={SESSION}; Path=/; Max-Age=2592000; HttpOnly")


@pytest.mark.parametrize("cookie", ["accredit_sid=", "accredit_sid=nonsense", "xaccredit_sid=" + SESSION, "\xff"])
def test_invalid_cookie_begins_a_new_session(cookie: str) -> None:
    door = FrontDoor()
    door.ask("GET", "/c/shoes?partner=anna", headers=[("cookie", cookie)])
    assert only_click(door).session_id != SESSION
    assert only_click(door).session_id[14] == "7"


@pytest.mark.parametrize(
    ("scheme", "host", "end"),
    [
        ("https", "go.example", "SameSite=None; Secure"),
        ("http", "go.example", "SameSite=None; Secure"),  # behind a TLS proxy on the same machine
        ("http", "127.0.0.1:8080", "SameSite=Lax"),
        ("http", "localhost", "SameSite=Lax"),
        ("http", "localhost.evil.example", "SameSite=None; Secure"),
    ],
)
def test_cookie_is_secure_except_over_plain_http_to_loopback(scheme: str, host: str, end: str) -> None:
    said = FrontDoor().ask("GET", "/c/shoes?partner=anna", headers=[("host", host)], scheme=scheme)
    assert said.headers["set-cookie"].endswith(end)


@pytest.mark.parametrize(("scheme", "end"), [("https", "SameSite=Lax; Secure"), ("http", "SameSite=Lax")])
def test_cookie_may_be_lax_by_setting(scheme: str, end: str) -> None:
    config = IngestConfig.model_validate({"links": {"cookie": {"same_site": "lax", "name": "sid"}}})
    door = FrontDoor(config=config)
    said = door.ask("GET", "/c/shoes?partner=anna", headers=[("host", "go.example")], scheme=scheme)
    assert said.headers["set-cookie"].startswith("sid=")
    assert said.headers["set-cookie"].endswith(end)


WINDOWS = """
advertisers: [{id: shop, currency: EUR}]
offers: [{id: shoes, advertiser_id: shop, landing_url: "https://shop.example/"OFFER}]
partners: [{id: anna, type: influencer}]
contracts: [{id: c, partner_id: anna, program_id: shop, from: 2026-01-01T00:00:00ZCONTRACT}]
"""


@pytest.mark.parametrize(
    ("offer", "contract", "max_age"),
    [
        ("", "", 30 * DAY_S),
        ("", ", window: 7d, impression_window: 2d", 30 * DAY_S),
        ("", ", window: 45d", 45 * DAY_S),
        (", window: 90d", ", window: 45d", 90 * DAY_S),
        ("", ", impression_window: 40d", 40 * DAY_S),
        ("", ", window: 600d", 400 * DAY_S),  # browsers keep none for longer
    ],
)
def test_cookie_lives_as_long_as_the_longest_window(offer: str, contract: str, max_age: int) -> None:
    catalog = load_catalog(WINDOWS.replace("OFFER", offer).replace("CONTRACT", contract))
    said = FrontDoor(index=CatalogIndex.of(1, catalog)).ask("GET", "/c/shoes?partner=anna")
    assert f"; Max-Age={max_age};" in said.headers["set-cookie"]


def test_who_may_not_be_known_again_gets_no_cookie_and_a_session_of_the_clicks_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(self: Edge, scope: Scope, now: int, params: dict[str, str], headers: object) -> Visitor:
        assert params["gpp"] == "DBAA"
        return Visitor(None, "DE", "phone", "iOS", "Safari", None, None, may_identify=False)

    monkeypatch.setattr(Edge, "visitor", unknown)
    landing = CATALOG.replace("x={nonsense}", "x={country}-{device}-{os}-{browser}")
    door = FrontDoor(index=CatalogIndex.of(1, load_catalog(landing)))
    said = door.ask("GET", "/c/shoes?partner=anna&gpp=DBAA", headers=[("cookie", f"accredit_sid={SESSION}")])
    click = only_click(door)
    assert "set-cookie" not in said.headers
    assert click.session_id != SESSION
    assert KEYS.verify(click.click_id).session_id == click.session_id
    assert (click.country, click.device, click.os, click.browser, click.ip) == ("DE", "phone", "iOS", "Safari", None)
    assert said.headers["location"].endswith("x=DE-phone-iOS-Safari")


def test_an_erased_session_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Edge, "may_join", lambda self, session_id: False)
    door = FrontDoor()
    said = door.ask("GET", "/c/shoes?partner=anna", headers=[("cookie", f"accredit_sid={SESSION}")])
    assert only_click(door).session_id != SESSION
    assert only_click(door).session_id in said.headers["set-cookie"]


def test_head_goes_on_without_being_counted() -> None:
    door = FrontDoor()
    said = door.ask("HEAD", "/c/shoes?partner=anna")
    assert said.status == 302
    assert said.headers["location"] == "https://shop.example/shoes?tid=&p=anna&s=&x="
    assert "set-cookie" not in said.headers
    assert door.publisher.messages == []
    assert door.ask("HEAD", "/c/nope?partner=anna").status == 404
    assert door.publisher.messages == []


def test_unknown_offer_is_404_and_a_dead_letter() -> None:
    door = FrontDoor()
    said = door.ask("GET", "/c/nope?partner=anna")
    assert said.status == 404
    assert said.headers["content-type"] == "application/problem+json"
    assert (said.json["reason"], said.json["field"], said.json["status"]) == ("UNKNOWN_OFFER", "offer_id", 404)
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.field, letter.stage, letter.door) == (
        "UNKNOWN_OFFER",
        "offer_id",
        "ingest",
        "redirect",
    )
    assert letter.original == b"GET /c/nope?partner=anna"


@pytest.mark.parametrize("query", ["sub1=x", "partner=&sub1=x", "sub1=x&partner=" + "x" * 300])
def test_a_link_without_a_partner_leads_on_and_is_kept_with_its_reason(query: str) -> None:
    door = FrontDoor()
    said = door.ask("GET", f"/c/shoes?{query}")
    assert said.status == 302
    assert said.headers["location"].startswith("https://shop.example/shoes?tid=&p=")
    assert "set-cookie" not in said.headers
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    assert (letter.field, letter.original) == ("partner_id", f"GET /c/shoes?{query}".encode())
    assert door.publisher.records("clicks") == []


def test_unknown_partner_is_kept_and_goes_on() -> None:
    door = FrontDoor()
    assert door.ask("GET", "/c/shoes?partner=stranger").status == 302
    assert only_click(door).partner_id == "stranger"


def test_paused_offer_is_kept_and_goes_to_the_programs_fallback() -> None:
    door = FrontDoor()
    said = door.ask("GET", "/c/hats?partner=anna")
    assert said.headers["location"] == f"https://shop.example/summer?c={only_click(door).click_id}"


def test_expired_offer_goes_to_its_own_fallback() -> None:
    assert FrontDoor().ask("GET", "/c/coats?partner=anna").headers["location"] == "https://shop.example/winter"


def test_bot_is_flagged_kept_and_goes_on() -> None:
    door = FrontDoor()
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    assert door.ask("GET", "/c/shoes?partner=anna", headers=[("user-agent", agent)]).status == 302
    assert only_click(door).invalid == "bot"


def test_no_catalog_yet_is_503_with_retry_after() -> None:
    said = FrontDoor(index=None).ask("GET", "/c/shoes?partner=anna")
    assert (said.status, said.json["reason"], said.headers["retry-after"]) == (503, "NO_CATALOG", "5")
    seen = FrontDoor(index=None).ask("GET", "/c/shoes?partner=anna", headers=[("accept", "text/html,*/*;q=0.8")])
    assert (seen.status, seen.headers["retry-after"]) == (503, "5")
    assert b"<h1>This link does not work yet</h1>" in seen.body


def test_a_full_spool_sends_the_visitor_on_and_the_loss_is_counted_and_logged() -> None:
    for url, kept in (("/c/shoes?partner=anna", "redirect"), ("/c/shoes", "redirect"), ("/l/spring", "short_link")):
        door = FrontDoor()
        door.publisher.full = True
        with capture_logs() as logs:
            said = door.ask("GET", url, headers=[("accept", "text/html")])
        assert said.status == (404 if kept == "short_link" else 302)
        assert door.metrics.registry.get_sample_value("accredit_ingest_events_lost_total", {"door": kept}) == 1
        (line,) = [line for line in logs if line["event"] == "visits_not_recorded"]
        assert (line["log_level"], line["door"], line["times"]) == ("error", kept, 1)


def test_kafka_away_is_503_with_retry_after() -> None:
    door = FrontDoor()
    door.publisher.away = True
    said = door.ask("GET", "/c/shoes?partner=anna")
    assert (said.status, said.json["reason"], said.headers["retry-after"]) == (503, "NOT_DURABLE", "5")


@pytest.mark.parametrize(("url", "status"), [("/c/shoes?partner=anna", 302), ("/c/shoes", 302), ("/c/nope", 404)])
def test_kafka_and_spool_away_a_person_goes_on_all_the_same(url: str, status: int) -> None:
    door = FrontDoor()
    door.publisher.away = True
    assert door.ask("GET", url, headers=[("accept", "text/html,*/*;q=0.8")]).status == status
    assert door.metrics.registry.get_sample_value("accredit_ingest_events_lost_total", {"door": "redirect"}) == 1


def test_junk_in_parameters_is_cleaned_and_cut() -> None:
    door = FrontDoor()
    assert door.ask("GET", "/c/shoes?partner=anna&sub1=%00%0a%ff&sub2=" + "x" * 5_000 + "&=&a&%zz=1").status == 302
    click = only_click(door)
    assert click.sub1 == "�"
    assert click.sub2 == "x" * 1_024


def test_other_methods_and_paths_are_refused() -> None:
    door = FrontDoor()
    said = door.ask("POST", "/c/shoes?partner=anna")
    assert (said.status, said.headers["allow"]) == (405, "GET, HEAD")
    assert door.ask("GET", "/nowhere").status == 404
    assert door.ask("GET", "/c").status == 404


def test_a_mistake_of_ours_is_a_500_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    door = FrontDoor()

    def broken(*_: object) -> str:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("ingest.redirect.is_uncounted", broken)
    said = door.ask("GET", "/c/shoes?partner=anna")
    assert (said.status, said.json["reason"]) == (500, "INTERNAL_ERROR")
    assert b"secret" not in said.body
