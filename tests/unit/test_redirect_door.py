"""Tracking links: what is recorded, where the visitor goes, what the sender of a broken link is told."""

from __future__ import annotations

import pytest

from ingest.http import Scope
from schemas.records import Click, DeadLetter
from tests.support.front_door import KEYS, NOW, SESSION, FrontDoor


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
    assert (click.user_agent, click.referrer, click.ip) == ("Firefox", "https://blog.example/", "203.0.113.9")
    assert click.params == {"utm_source": "news"}
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
    assert said.headers["set-cookie"].startswith(f"accredit_sid={SESSION}; Path=/; Max-Age=7776000; HttpOnly")


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


def test_cookie_may_be_lax_by_setting() -> None:
    said = FrontDoor(cookie_secure=False).ask("GET", "/c/shoes?partner=anna", headers=[("host", "go.example")])
    assert said.headers["set-cookie"].endswith("SameSite=Lax")


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


def test_missing_partner_is_400_naming_the_field() -> None:
    door = FrontDoor()
    said = door.ask("GET", "/c/shoes?sub1=x")
    assert (said.status, said.json["reason"], said.json["field"]) == (400, "MISSING_FIELD", "partner_id")
    assert len(door.publisher.records("dead-letters")) == 1


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


def test_kafka_away_is_503_with_retry_after() -> None:
    door = FrontDoor()
    door.publisher.away = True
    said = door.ask("GET", "/c/shoes?partner=anna")
    assert (said.status, said.json["reason"], said.headers["retry-after"]) == (503, "NOT_DURABLE", "5")


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

    def broken(scope: Scope) -> str:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("ingest.redirect.address_of", broken)
    said = door.ask("GET", "/c/shoes?partner=anna")
    assert (said.status, said.json["reason"]) == (500, "INTERNAL_ERROR")
    assert b"secret" not in said.body
