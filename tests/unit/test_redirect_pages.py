"""Where visitors go whose offer is over, whose link is wrong, and those who have not really come."""

from __future__ import annotations

import re

import pytest

from ingest.catalog_index import CatalogIndex
from schemas.catalog import load_catalog
from schemas.records import Click, DeadLetter
from tests.support.front_door import CATALOG, FrontDoor

BROWSER = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]
GONE = CATALOG.replace("    fallback_url: https://shop.example/winter\n", "")
assert GONE != CATALOG
INDEX = CatalogIndex.of(1, load_catalog(GONE))


def test_an_ended_offer_without_a_fallback_is_a_page_and_its_click_is_kept() -> None:
    door = FrontDoor(index=INDEX)
    said = door.ask("GET", "/c/coats?partner=anna", headers=BROWSER)
    assert (said.status, said.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"This offer is not available" in said.body
    (click,) = door.publisher.records("clicks")
    assert isinstance(click, Click)
    assert (click.offer_id, click.invalid) == ("coats", None)  # crediting says OFFER_INACTIVE (RULES R26)
    assert click.session_id in said.headers["set-cookie"]
    assert FrontDoor(index=INDEX).ask("GET", "/c/coats?partner=anna").json["reason"] == "OFFER_INACTIVE"


@pytest.mark.parametrize(
    ("url", "reason", "words"),
    [
        ("/c/nope?partner=anna", "UNKNOWN_OFFER", "leads nowhere"),
        ("/c/?partner=anna", "UNKNOWN_OFFER", "leads nowhere"),
        ("/c/<script>alert(1)</script>", "UNKNOWN_OFFER", "leads nowhere"),
        ("/aff_c?aff_id=anna", "UNKNOWN_OFFER", "leads nowhere"),
        ("/l/nope", "UNKNOWN_LINK", "leads nowhere"),
    ],
)
def test_an_unknown_offer_is_a_page_for_people_and_a_dead_letter(url: str, reason: str, words: str) -> None:
    door = FrontDoor()
    said = door.ask("GET", url, headers=BROWSER)
    page = said.body.decode()
    assert said.status == 404
    assert words in page
    assert "<script" not in page
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.original) == (reason, f"GET {url}".encode())


def test_the_page_is_accessible_and_can_do_nothing() -> None:
    said = FrontDoor().ask("GET", "/c/nope", headers=BROWSER)
    page = said.body.decode()
    assert page.startswith('<!doctype html><html lang="en">')
    for part in ('<meta name="viewport"', "<title>", "<main><h1>", 'content="noindex"'):
        assert part in page
    assert re.findall(r"\s(?:src|href|action)=", page) == []
    assert len(said.body) < 1_500
    assert said.headers["cache-control"] == "no-store"
    assert said.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'; base-uri")


def test_a_page_that_is_full_of_trouble_is_still_a_page() -> None:
    door = FrontDoor()
    door.publisher.full = True
    said = door.ask("GET", "/c/nope", headers=BROWSER)
    assert said.status == 404
    assert b"leads nowhere" in said.body


def test_a_status_counts_from_its_date_on() -> None:
    text = CATALOG.replace("value: paused, from: 2026-05-01", "value: paused, from: 2026-06-01")
    door = FrontDoor(index=CatalogIndex.of(1, load_catalog(text)))
    assert door.ask("GET", "/c/hats?partner=anna").headers["location"] == "https://shop.example/hats"
    later = CATALOG.replace("value: active, from: 2026-01-01", "value: active, from: 2027-01-01").replace(
        ", {value: paused, from: 2026-05-01T00:00:00Z}", ""
    )
    door = FrontDoor(index=CatalogIndex.of(1, load_catalog(later)))
    assert door.ask("GET", "/c/hats?partner=anna").headers["location"].startswith("https://shop.example/summer?c=")


@pytest.mark.parametrize(
    "headers",
    [
        [("sec-purpose", "prefetch")],
        [("sec-purpose", "prefetch;prerender")],
        [("purpose", "prefetch")],
        [("purpose", "preview")],
        [("x-purpose", "preview")],
        [("x-moz", "prefetch")],
        *[
            [("user-agent", agent)]
            for agent in (
                "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
                "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
                "WhatsApp/2.23.20.0",
                "Twitterbot/1.0",
                "TelegramBot (like TwitterBot)",
                "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
                "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
                "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 "
                "Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
                "Iframely/1.3.1 (+https://iframely.com/docs/about)",
                "http.rb/5.1.1 (Mastodon/4.2.1; +https://mastodon.example/) Bot",
            )
        ],
    ],
)
@pytest.mark.parametrize("url", ["/c/shoes?partner=anna", "/aff_c?offer_id=shoes&aff_id=anna", "/l/spring", "/c/nope"])
def test_prefetches_and_previews_go_on_without_being_counted(url: str, headers: list[tuple[str, str]]) -> None:
    links = "links: [{slug: spring, partner_id: anna, offer_id: shoes}]"
    door = FrontDoor(index=CatalogIndex.of(1, load_catalog(CATALOG + links)))
    said = door.ask("GET", url, headers=headers)
    assert said.status == (404 if url == "/c/nope" else 302)
    if said.status == 302:
        assert said.headers["location"] == "https://shop.example/shoes?tid=&p=anna&s=&x="
        assert "set-cookie" not in said.headers
    assert door.publisher.messages == []


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
        "[FBAN/FBIOS;FBAV/433.0.0.28.111;FBBV/512345678;FBDV/iPhone14,2]",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Twitter for iPhone/10",
        "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36 Instagram 334.0.0.42.95",
        "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36 Line/14.9.0",
    ],
)
def test_people_in_an_apps_browser_are_counted(agent: str) -> None:
    door = FrontDoor()
    door.ask("GET", "/c/shoes?partner=anna", headers=[("user-agent", agent)])
    assert len(door.publisher.records("clicks")) == 1
