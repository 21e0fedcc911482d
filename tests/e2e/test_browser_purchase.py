"""A purchase in a real browser: a publisher's page, the tracking domain, a shop under a strict CSP, a credited sale."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.support.running import Running, decided, until
from tests.support.shop_site import Site, site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]

CATALOG = """
advertisers: [{{id: shop, currency: EUR}}]
offers:
  - id: lamps
    advertiser_id: shop
    landing_url: "{shop}/lamps?tid={{transaction_id}}&order={{sub1}}&utm_source=blog"
partners: [{{id: blog, type: publisher}}]
contracts:
  - {{id: c-blog, partner_id: blog, program_id: shop, from: 2026-01-01T00:00:00Z, payout: [{{percent: "8"}}]}}
"""
CREDITED = ("credited", "blog", "only_candidate", "4.00", "EUR")
CREDITED_S = 120.0
THIRD_PARTY_COOKIES = {"profile": {"cookie_controls_mode": 0}}
"""Allowed, as Chrome does; Debian's Chromium blocks them unless told otherwise."""
NO_COOKIES = {"profile": {"default_content_setting_values": {"cookies": 2}}}
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
"""A headless Chromium says that it is one, and then its clicks are a bot's."""
GPC = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Site]]:
    """An installation, and the sites around it."""
    folder = tmp_path_factory.mktemp("browser")
    installation = Running(folder / "data", "--partitions", "2")
    installation.start()
    try:
        with site(urlsplit(installation.addresses()["ingest"]).port or 0) as around:
            catalog = folder / "catalog.yaml"
            catalog.write_text(CATALOG.format(shop=around.shop))
            installation.run("catalog", "apply", str(catalog))
            yield installation, around
    finally:
        installation.stop()


class Visit:
    """A browser and what it complained of."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error" and "favicon" not in text and "404" not in text:
            self.complaints.append(text)

    def click_through(self, around: Site, order: str) -> None:
        """From the publisher's page to the shop."""
        self.page.goto(f"{around.blog}/post")
        self.page.eval_on_selector("#go", f"link => {{ link.href += '&sub1={order}' }}")
        self.page.click("#go")
        self.page.wait_for_url(f"{around.shop}/lamps?**")
        assert "tid=" in self.page.url

    def buy(self) -> None:
        """On the same page, by the shop's own script."""
        with self.page.expect_request(lambda request: urlsplit(request.url).path == "/px"):
            self.page.click("#buy")

    def kept(self) -> tuple[Any, Any]:
        """What the shop's domain keeps: its cookies, its local storage."""
        return self.page.evaluate("[document.cookie, Object.keys(localStorage).join()]")


def visit(folder: Path, preferences: dict[str, Any] | None = None, **options: Any) -> Iterator[Visit]:
    """A fresh browser with a profile of its own."""
    (folder / "Default").mkdir(parents=True)
    (folder / "Default" / "Preferences").write_text(json.dumps(preferences or {}))
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=CHROMIUM, headless=True, user_agent=PERSON, args=["--no-sandbox"], **options
        )
        try:
            yield Visit(context)
        finally:
            context.close()


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visit]:
    """Somebody with a browser as it comes."""
    yield from visit(tmp_path / "profile", THIRD_PARTY_COOKIES)


@pytest.fixture
def gpc_visitor(tmp_path: Path) -> Iterator[Visit]:
    """Somebody who has switched Global Privacy Control on."""
    for found in visit(tmp_path / "profile", THIRD_PARTY_COOKIES, extra_http_headers={"Sec-GPC": "1"}):
        found.context.add_init_script(GPC)
        yield found


@pytest.fixture
def cookieless_visitor(tmp_path: Path) -> Iterator[Visit]:
    """Somebody whose browser keeps nothing for anybody, local storage neither."""
    yield from visit(tmp_path / "profile", NO_COOKIES)


def credited(installation: Running, order: str) -> None:
    until(
        lambda: decided(installation.report()).get((order, "sale")) == CREDITED, CREDITED_S, f"{order} to be credited"
    )


def test_a_purchase_is_credited(shop: tuple[Running, Site], visitor: Visit) -> None:
    """Over two pages: the second one's address knows nothing of the click, the shop's domain does."""
    installation, around = shop
    visitor.click_through(around, "plain")
    cookie, stored = visitor.kept()
    assert "accredit=transaction_id%3D" in cookie
    assert stored == "accredit"
    with visitor.page.expect_request(lambda request: urlsplit(request.url).path == "/px") as sent:
        visitor.page.click("#pay")
    assert sent.value.method == "POST"
    report = parse_qs(sent.value.post_data or "")
    assert report.keys() == {"advertiser_id", "transaction_id", "utm_source", "order_id", "amount", "currency"}
    assert report["utm_source"] == ["blog"]
    assert visitor.complaints == []
    credited(installation, "plain")


@pytest.mark.parametrize(
    ("lacking", "path"),
    [
        ("delete Navigator.prototype.sendBeacon", "/px"),
        ("delete Navigator.prototype.sendBeacon; delete window.fetch", "/px.gif"),
    ],
    ids=["fetch", "image"],
)
def test_older_browsers_report_too(shop: tuple[Running, Site], visitor: Visit, lacking: str, path: str) -> None:
    _, around = shop
    visitor.context.add_init_script(lacking)
    visitor.click_through(around, f"older{path[3:]}")
    with visitor.page.expect_response(lambda response: urlsplit(response.url).path == path) as answered:
        visitor.page.click("#buy")
    request = answered.value.request
    assert answered.value.status == 200
    assert ("vera" in request.url + (request.post_data or "")) == (path == "/px"), "no buyer in an address"
    assert visitor.complaints == []


def test_a_purchase_is_credited_by_the_cookie_alone(shop: tuple[Running, Site], visitor: Visit) -> None:
    """An image on a page without the script."""
    installation, around = shop
    visitor.click_through(around, "cookie")
    with visitor.page.expect_response(lambda response: urlsplit(response.url).path == "/px.gif") as answered:
        visitor.page.goto(f"{around.shop}/pixel?order=cookie")
    assert answered.value.headers["accredit-result"] == "accepted"
    assert "accredit_sid=" in answered.value.request.all_headers()["cookie"]
    credited(installation, "cookie")


def test_a_purchase_is_credited_with_gpc(shop: tuple[Running, Site], gpc_visitor: Visit) -> None:
    """Nothing is kept anywhere; the transaction id in the address is all that is sent."""
    installation, around = shop
    gpc_visitor.click_through(around, "gpc")
    with gpc_visitor.page.expect_request(lambda request: urlsplit(request.url).path == "/px") as sent:
        gpc_visitor.page.click("#buy")
    assert parse_qs(sent.value.post_data or "").keys() == {"advertiser_id", "transaction_id", "order_id", "amount"}
    assert "cookie" not in sent.value.all_headers()
    assert gpc_visitor.context.cookies() == []
    assert gpc_visitor.kept() == ["", ""]
    assert gpc_visitor.complaints == []
    credited(installation, "gpc")


def test_a_purchase_is_credited_without_cookies(shop: tuple[Running, Site], cookieless_visitor: Visit) -> None:
    """By the click id alone."""
    installation, around = shop
    cookieless_visitor.click_through(around, "cookieless")
    cookieless_visitor.buy()
    assert cookieless_visitor.context.cookies() == []
    assert cookieless_visitor.complaints == []
    credited(installation, "cookieless")
