"""Tracking links through the real server on a real broker: dialects, short links, codes, views, previews, pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from ingest.catalog_log import publish_catalog
from schemas.records import Click
from tests.support.ingest_process import IngestProcess, create_topics, read_topic, until

pytestmark = pytest.mark.integration

CATALOG = """
advertisers: [{id: shop, currency: EUR}]
offers:
  - id: shoes
    advertiser_id: shop
    landing_url: "https://shop.example/?tid={transaction_id}&s={aff_sub}"
    deep_link_domains: [shop.example]
partners: [{id: anna, type: influencer}]
links: [{slug: anna, partner_id: anna, offer_id: shoes, source: insta}]
"""
BROWSER = {
    "Accept": "text/html",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("links")


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[Kafka]:
    broker = Kafka(folder)
    broker.start()
    try:
        create_topics(broker.bootstrap)
        publish_catalog(broker.bootstrap, CATALOG, "test")
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def ingest(broker: Kafka, folder: Path) -> Iterator[IngestProcess]:
    process = IngestProcess(broker.bootstrap, folder / "ingest.log")
    try:
        until(process.ready, "start")
        yield process
    finally:
        process.stop()


def clicks(broker: Kafka) -> dict[str | None, Click]:
    """By sub2, which names the request."""
    return {r.sub2: r for _, r in read_topic(broker.bootstrap, "clicks") if isinstance(r, Click)}


def test_links_of_every_kind_reach_the_log_and_the_visitor_goes_on(broker: Kafka, ingest: IngestProcess) -> None:
    tune = ingest.ask("GET", "/aff_c?offer_id=shoes&aff_id=anna&aff_sub=a%20b&aff_sub2=tune", headers=BROWSER)
    deep = ingest.ask(
        "GET", "/c/shoes?partner=anna&sub2=deep&url=https%3A%2F%2Fshop.example%2Fred%23top", headers=BROWSER
    )
    evil = ingest.ask("GET", "/c/shoes?partner=anna&sub2=evil&url=https:%5c%5cevil.example", headers=BROWSER)
    short = ingest.ask("GET", "/l/ANNA?sub2=short", headers=BROWSER)
    view = ingest.ask("GET", "/i/shoes.gif?partner=anna&sub2=view", headers=BROWSER)
    found = clicks(broker)
    assert [said.status for said in (tune, deep, evil, short, view)] == [302, 302, 302, 302, 200]
    assert tune.headers["location"] == f"https://shop.example/?tid={found['tune'].click_id}&s=a%20b"
    assert deep.headers["location"] == f"https://shop.example/red?tid={found['deep'].click_id}&s=#top"
    assert evil.headers["location"] == f"https://shop.example/?tid={found['evil'].click_id}&s="
    assert short.headers["location"] == f"https://shop.example/?tid={found['short'].click_id}&s="
    assert len(view.body) == 43
    assert (found["tune"].sub1, found["short"].source, found["view"].type) == ("a b", "insta", "impression")
    assert {found[name].door for name in ("tune", "deep", "short", "view")} == {"redirect", "short_link", "impression"}
    assert f"accredit_sid={found['short'].session_id}" in short.headers["set-cookie"]


def test_previews_and_heads_go_on_uncounted(broker: Kafka, ingest: IngestProcess) -> None:
    before = len(clicks(broker))
    for method, headers in (("HEAD", BROWSER), ("GET", {"User-Agent": "Slackbot-LinkExpanding 1.0"})):
        said = ingest.ask(method, "/l/anna?sub2=preview", headers=headers)
        assert (said.status, said.headers["location"]) == (302, "https://shop.example/?tid=&s=")
    assert len(clicks(broker)) == before


def test_codes_and_pages(ingest: IngestProcess) -> None:
    code = ingest.ask("GET", "/l/anna.svg")
    assert code.headers["content-type"] == "image/svg+xml"
    assert f"http://127.0.0.1:{ingest.port}/l/anna".encode() in code.body
    assert ingest.ask("GET", "/l/anna.png").body.startswith(b"\x89PNG")
    page = ingest.ask("GET", "/c/nope?partner=anna", headers=BROWSER)
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"leads nowhere" in page.body
    assert ingest.ask("HEAD", "/c/nope?partner=anna", headers=BROWSER).body == b""
