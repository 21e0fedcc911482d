"""Short links for influencers: who is credited, where they lead, their QR codes, how the catalog is checked."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from ingest.catalog_index import CatalogIndex
from ingest.config import IngestConfig
from schemas.catalog import load_catalog
from schemas.catalog.diff import diff
from schemas.errors import CatalogInvalid
from schemas.records import Click, DeadLetter
from tests.support.front_door import FrontDoor

CATALOG = """\
advertisers: [{id: shop, currency: EUR}]
offers:
  - id: shoes
    advertiser_id: shop
    landing_url: "https://shop.example/?tid={transaction_id}&s={source}"
    deep_link_domains: [shop.example]
  - {id: hats, advertiser_id: shop, landing_url: "https://shop.example/hats", fallback_url: "https://shop.example/all"}
partners: [{id: anna, type: influencer}, {id: bert, type: influencer}]
links:
  - {slug: Anna, partner_id: anna, offer_id: shoes, source: insta, sub1: story}
  - {slug: red, partner_id: anna, offer_id: shoes, url: "https://shop.example/red?c={transaction_id}"}
  - {slug: swap, partner_id: anna, offer_id: shoes, until: 2026-05-01T00:00:00Z}
  - {slug: swap, partner_id: bert, offer_id: shoes, from: 2026-05-01T00:00:00Z}
  - {slug: over, partner_id: anna, offer_id: shoes, until: 2026-05-01T00:00:00Z}
  - {slug: over-hats, partner_id: anna, offer_id: hats, until: 2026-05-01T00:00:00Z}
  - {slug: soon, partner_id: anna, offer_id: shoes, from: 2026-06-01T00:00:00Z}
"""
INDEX = CatalogIndex.of(1, load_catalog(CATALOG))
HOST = [("host", "go.example")]


def followed(url: str) -> tuple[Click, str]:
    door = FrontDoor(index=INDEX)
    said = door.ask("GET", url)
    assert said.status == 302
    (click,) = door.publisher.records("clicks")
    assert isinstance(click, Click)
    return click, said.headers["location"].replace(click.click_id, "TID")


def test_a_short_link_credits_its_partner_for_its_offer() -> None:
    click, location = followed("/l/anna?utm_source=x&gclid=g")
    assert location == "https://shop.example/?tid=TID&s=insta"
    assert (click.partner_id, click.offer_id, click.source, click.sub1) == ("anna", "shoes", "insta", "story")
    assert click.door == "short_link"
    assert {name: click.params[name] for name in ("utm_source", "gclid", "link")} == {
        "utm_source": "x",
        "gclid": "g",
        "link": "anna",
    }


def test_nobody_can_take_a_link_over_and_what_it_leaves_open_may_be_added() -> None:
    click, _ = followed("/l/anna?partner=bert&aff_id=bert&offer_id=hats&source=mine&sub1=mine&sub2=reel")
    assert (click.partner_id, click.offer_id, click.source, click.sub1, click.sub2) == (
        "anna",
        "shoes",
        "insta",
        "story",
        "reel",
    )


@pytest.mark.parametrize("slug", ["anna", "ANNA", "aNNa"])
def test_a_slug_is_typed_in_any_case(slug: str) -> None:
    assert followed(f"/l/{slug}")[0].partner_id == "anna"


def test_a_link_may_have_a_page_of_its_own() -> None:
    assert followed("/l/red?url=https://shop.example/else")[1] == "https://shop.example/red?c=TID&tid=TID&s="


def test_a_slug_that_was_handed_on_is_the_new_owners() -> None:
    assert followed("/l/swap")[0].partner_id == "bert"


@pytest.mark.parametrize("slug", ["over", "soon"])
def test_a_link_out_of_its_dates_is_a_page_and_a_dead_letter(slug: str) -> None:
    door = FrontDoor(index=INDEX)
    said = door.ask("GET", f"/l/{slug}")
    assert (said.status, said.json["reason"]) == (404, "LINK_NOT_ACTIVE")
    (letter,) = door.publisher.messages and door.publisher.records()
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.door, letter.original) == ("LINK_NOT_ACTIVE", "short_link", f"GET /l/{slug}".encode())


def test_a_link_out_of_its_dates_goes_to_its_offers_fallback() -> None:
    door = FrontDoor(index=INDEX)
    assert door.ask("GET", "/l/over-hats").headers["location"] == "https://shop.example/all"
    assert [type(record) for record in door.publisher.records()] == [DeadLetter]


def test_the_code_is_an_svg_that_can_be_scanned_and_printed() -> None:
    said = FrontDoor(index=INDEX).ask("GET", "/l/ANNA.svg", headers=HOST, scheme="https")
    assert (said.status, said.headers["content-type"]) == (200, "image/svg+xml")
    root = ET.fromstring(said.body)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "https://go.example/l/anna"
    assert root.find(".//{http://www.w3.org/2000/svg}path") is not None


def test_the_code_is_a_png_too_and_knows_the_tracking_domain() -> None:
    config = IngestConfig.model_validate({"links": {"base_url": "https://go.brand.example/"}})
    said = FrontDoor(index=INDEX, config=config).ask("GET", "/l/anna.png", headers=HOST)
    assert said.headers["content-type"] == "image/png"
    assert said.body.startswith(b"\x89PNG\r\n\x1a\n")
    svg = FrontDoor(index=INDEX, config=config).ask("GET", "/l/anna.svg", headers=HOST)
    assert b"https://go.brand.example/l/anna" in svg.body


@pytest.mark.parametrize(
    ("url", "host", "status"),
    [
        ("/l/anna.exe", "go.example", 404),
        ("/l/nobody.svg", "go.example", 404),
        ("/l/anna.svg", "go.example/<script>", 400),
        ("/l/anna.svg", "a@b", 400),
        ("/l/anna.svg", "", 400),
    ],
)
def test_no_code_for_what_is_no_link(url: str, host: str, status: int) -> None:
    door = FrontDoor(index=INDEX)
    assert door.ask("GET", url, headers=[("host", host)]).status == status
    assert door.publisher.records("clicks") == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("slug: Anna, partner_id: anna", "slug: Anna, partner_id: eve", ["shop.yaml:10: links[0].partner_id", "'eve'"]),
        ("Anna, partner_id: anna, offer_id: shoes", "Anna, partner_id: anna, offer_id: x", ["[0].offer_id", "'x'"]),
        ("slug: red", "slug: aNNa", ["shop.yaml:11: links[1]: ", "same time", "'anna' of 'anna' (line 10)"]),
        ("partner_id: bert, offer_id: shoes, from: 2026-05", "partner_id: bert, offer_id: shoes, from: 2026-04",
         ["shop.yaml:13: links[3]: ", "same time", "until: 2026-04-01"]),
        ("slug: red", "slug: a/b", ["shop.yaml:11: links[1].slug: "]),
        ("slug: red", "slug: red, sub9: x", ["shop.yaml:11: links[1].sub9: ", "not a field"]),
        ("https://shop.example/red", "https://evil.example/red", ["shop.yaml:11: links[1].url: ", "deep_link_domains",
                                                                  "which are: shop.example"]),
        ("https://shop.example/red", "https://shop.example@evil.example/", ["shop.yaml:11: links[1].url: "]),
        ("slug: soon", "slug: soon, url: /red", ["shop.yaml:16: links[6].url: "]),
        ("[shop.example]", "[https://shop.example]", ["shop.yaml:6: offers[0].deep_link_domains[0]: ", "no https://"]),
        ("[shop.example]", '["*.com"]', ["whole top-level domain"]),
        ("[shop.example]", "[shop.example/x]", ["is not a host like"]),
        ("https://shop.example/?tid", "https://{sub1}/?tid", ["offers[0].landing_url: ", "without a macro"]),
        ("https://shop.example/?tid", "https://shop.example{sub1}/?tid", ["shop.yaml:5: ", "without a macro"]),
        ("https://shop.example/?tid", "//shop.example/?tid", ["shop.yaml:5: ", "not an address like"]),
        ("https://shop.example/?tid", "javascript:alert(1)//?tid", ["shop.yaml:5: ", "javascript:"]),
        ("https://shop.example/?tid", "{sub1}://x/?tid", ["shop.yaml:5: ", "not an address like"]),
        ("https://shop.example/all", "shop.example/all", ["shop.yaml:7: offers[1].fallback_url: "]),
    ],
)  # fmt: skip
def test_a_mistake_in_the_catalog_is_named(old: str, new: str, said: list[str]) -> None:
    assert old in CATALOG
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog(CATALOG.replace(old, new, 1), "shop.yaml")
    for part in said:
        assert part in str(caught.value)


def test_an_apps_address_may_be_a_landing_page() -> None:
    app = CATALOG.replace("https://shop.example/hats", "market://details?id=shop.app&referrer={transaction_id}")
    assert load_catalog(app).offers[1].landing_url.startswith("market://")


def test_the_difference_of_two_catalogs_names_links_by_their_slug() -> None:
    changed = CATALOG.replace("source: insta", "source: tiktok").replace("slug: soon", "slug: later")
    changes = diff(load_catalog(CATALOG), load_catalog(changed))
    assert [(change.sign, change.kind, change.name) for change in changes] == [
        ("-", "link", "soon from 2026-06-01T00:00:00Z"),
        ("~", "link", "anna"),
        ("+", "link", "later from 2026-06-01T00:00:00Z"),
    ]
    assert changes[1].fields[0] == ("source", "insta", "tiktok")
