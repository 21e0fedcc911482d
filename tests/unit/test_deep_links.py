"""Deep links: where they lead, and 500 attempts to be led elsewhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from ingest.catalog_index import CatalogIndex
from schemas.catalog import load_catalog
from schemas.records import Click
from tests.support.browser_url import Failure, goes_to
from tests.support.front_door import FrontDoor

CATALOG = """
advertisers: [{id: shop, currency: EUR}]
offers:
  - id: shoes
    advertiser_id: shop
    landing_url: "https://shop.example/shoes?v=1&tid={transaction_id}&p={partner_id}#top"
    deep_link_domains: [Shop.example, "*.deep.example", "münchen.example", "shop.example:8443"]
  - {id: plain, advertiser_id: shop, landing_url: "https://shop.example/plain"}
partners: [{id: anna, type: influencer}]
links: [{slug: anna, partner_id: anna, offer_id: shoes}]
"""
INDEX = CatalogIndex.of(1, load_catalog(CATALOG))
LINES = (Path(__file__).parent / "data" / "open_redirects.txt").read_text(encoding="utf-8").splitlines()
ATTEMPTS = [line.replace("\\t", "\t") for line in LINES if line and not line.startswith("# ")]
WAYS = ("/c/shoes?partner=anna&url=", "/aff_c?offer_id=shoes&aff_id=anna&ckmrdr=", "/l/anna?url=")
EVIL_FIELDS = "&sub1=evil.example/&sub2=%0d%0aLocation:%20https://evil.example"


def is_allowed(host: str) -> bool:
    return host in ("shop.example", "shop.example:8443", "xn--mnchen-3ya.example") or host.endswith(".deep.example")


def stays(location: str) -> None:
    """As Python's parser reads it, and as a browser does."""
    assert location.isascii()
    assert location.isprintable()
    assert " " not in location
    parts = urlsplit(location)
    assert parts.scheme in ("http", "https")
    assert is_allowed(parts.netloc), location
    try:
        scheme, host = goes_to(location)
    except Failure:
        pytest.fail(f"no browser can go to {location!r}")
    assert scheme in ("http", "https")
    assert is_allowed(host), location


def follow(door: FrontDoor, way: str, attempt: str, more: str = "") -> str:
    said = door.ask("GET", way + attempt + more)
    assert said.status == 302
    return said.headers["location"]


def test_there_are_enough_attempts() -> None:
    assert len(set(ATTEMPTS)) >= 300


@pytest.mark.parametrize("way", WAYS)
def test_every_attempt_stays_on_an_allowed_host(way: str) -> None:
    door = FrontDoor(index=INDEX)
    for attempt in ATTEMPTS:
        stays(follow(door, way, attempt, EVIL_FIELDS))


def test_where_no_host_is_allowed_every_attempt_ends_on_the_landing_page() -> None:
    door = FrontDoor(index=INDEX)
    for attempt in ATTEMPTS:
        assert follow(door, "/c/plain?partner=anna&url=", attempt) == "https://shop.example/plain"


def test_the_second_reader_is_not_blind() -> None:
    """What a browser makes of the attempts themselves: most would have worked on somebody."""
    gone = 0
    for attempt in ATTEMPTS:
        try:
            gone += not is_allowed(goes_to(attempt, base_host="shop.example")[1])
        except Failure:
            continue
    assert gone > 150


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://shop.example/red", "https://shop.example/red?tid={tid}&p=anna"),
        ("https://shop.example/red?size=9", "https://shop.example/red?size=9&tid={tid}&p=anna"),
        ("https://shop.example/red?", "https://shop.example/red?tid={tid}&p=anna"),
        ("https://shop.example/red?size=9#fit", "https://shop.example/red?size=9&tid={tid}&p=anna#fit"),
        ("https://shop.example", "https://shop.example?tid={tid}&p=anna"),
        ("https://shop.example/red?p=mine", "https://shop.example/red?p=mine&tid={tid}"),
        ("https://shop.example/red?id={transaction_id}&tid=x", "https://shop.example/red?id={tid}&tid=x&p=anna"),
        ("https://shop.example/{aff_sub}?j={json}", "https://shop.example/a%20b?j=%7Bjson%7D&tid={tid}&p=anna"),
        ("HTTPS://SHOP.EXAMPLE:443/Red", "https://shop.example/Red?tid={tid}&p=anna"),
        ("http://shop.example:80/", "http://shop.example/?tid={tid}&p=anna"),
        ("https://shop.example:8443/", "https://shop.example:8443/?tid={tid}&p=anna"),
        (" https://shop.example/ ", "https://shop.example/?tid={tid}&p=anna"),
        ("https://a.deep.example/", "https://a.deep.example/?tid={tid}&p=anna"),
        ("https://a-b.c_d.deep.example/", "https://a-b.c_d.deep.example/?tid={tid}&p=anna"),
        ("https://München.example/", "https://xn--mnchen-3ya.example/?tid={tid}&p=anna"),
        ("https://xn--mnchen-3ya.example/", "https://xn--mnchen-3ya.example/?tid={tid}&p=anna"),
        ("https://shop.example/schöne schuhe", "https://shop.example/sch%C3%B6ne%20schuhe?tid={tid}&p=anna"),
        ("https://shop.example/a%2Fb?q=%20", "https://shop.example/a%2Fb?q=%20&tid={tid}&p=anna"),
        ("https://shop.example/a\\b", "https://shop.example/a%5Cb?tid={tid}&p=anna"),
    ],
)
def test_where_a_deep_link_leads(url: str, location: str) -> None:
    door = FrontDoor(index=INDEX)
    said = door.ask("GET", f"/c/shoes?partner=anna&sub1=a+b&url={quote(url, safe='')}")
    (click,) = door.publisher.records("clicks")
    assert isinstance(click, Click)
    assert said.headers["location"] == location.replace("{tid}", click.click_id)
    assert "url" not in click.params


@pytest.mark.parametrize("name", ["url", "ckmrdr"])
def test_a_deep_link_has_the_names_of_others(name: str) -> None:
    location = follow(FrontDoor(index=INDEX), f"/c/shoes?partner=anna&{name}=", "https://shop.example/x")
    assert location.startswith("https://shop.example/x?tid=")


def test_an_ended_offer_goes_to_its_fallback_whatever_page_is_asked_for() -> None:
    ended = CATALOG.replace(
        "    deep_link", "    fallback_url: https://shop.example/over\n    status: []\n    deep_link"
    )
    ended = ended.replace("status: []", "status: [{value: paused, from: 2026-01-01T00:00:00Z}]")
    door = FrontDoor(index=CatalogIndex.of(1, load_catalog(ended)))
    said = door.ask("GET", "/c/shoes?partner=anna&url=https://shop.example/red")
    assert said.headers["location"] == "https://shop.example/over"
