"""Whatever a deep link says, the visitor stays on an allowed host, as Python reads the Location and as browsers do."""

from __future__ import annotations

from functools import cache
from urllib.parse import quote, urlsplit

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.catalog_index import CatalogIndex
from schemas.catalog import load_catalog
from schemas.urls import read_web_url
from tests.support.browser_url import Failure, goes_to
from tests.support.front_door import FrontDoor

CATALOG = """
advertisers: [{id: shop, currency: EUR}]
offers:
  - id: shoes
    advertiser_id: shop
    landing_url: "https://shop.example/shoes?tid={transaction_id}&s={sub1}&x={own}"
    deep_link_domains: [shop.example, "*.deep.example"]
partners: [{id: anna, type: influencer}]
"""
INDEX = CatalogIndex.of(1, load_catalog(CATALOG))
PIECES = [
    *(
        "http",
        "https",
        "HTTPS",
        "javascript",
        ":",
        ":",
        "/",
        "//",
        "\\",
        "\\\\",
        "?",
        "#",
        "@",
        "@",
        ".",
        "..",
        "[",
        "]",
    ),
    *("shop.example", "shop.example", ".deep.example", "deep.example", "evil.example", ".evil.example", "evil", "www"),
    *(
        "%2f",
        "%5c",
        "%40",
        "%2e",
        "%00",
        "%0a",
        "%25",
        "%",
        "\t",
        "\n",
        "\r",
        "\x00",
        " ",
        "\u3002",
        "\uff0f",
        "\uff20",
    ),
    *("\uff0e", "\uff1a", "\u00ad", "\u200d", "\u2100", "\uff03", "\ufeff", "\u202e", "ß", "ſ", "K", "о", "xn--", "-"),
    *(":443", ":80", ":8443", "0x7f", "127.1", "{sub1}", "{transaction_id}", "{", "}", "{own}", ";", "&", "=", ","),
]
NASTY = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)
NEARLY = st.tuples(st.sampled_from(["https://", "http://", "//", "https:/\\"]), NASTY, st.sampled_from(PIECES), NASTY)
URLS = NASTY | NEARLY.map("".join)


@cache
def door() -> FrontDoor:
    return FrontDoor(index=INDEX)


def is_allowed(host: str) -> bool:
    return host == "shop.example" or host.endswith(".deep.example")


def encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


@given(url=URLS.map(encodable), sub1=URLS.map(encodable), own=URLS.map(encodable))
@example(url="https://shop.example\\@evil.example", sub1="", own="")
@example(url="https://x{sub1}.deep.example/", sub1="evil.example/", own="")
@settings(max_examples=600, deadline=None)
def test_nobody_is_led_away(url: str, sub1: str, own: str) -> None:
    query = "&".join(f"{name}={quote(text, safe='')}" for name, text in (("url", url), ("sub1", sub1), ("own", own)))
    said = door().ask("GET", f"/c/shoes?partner=anna&{query}")
    location = said.headers["location"]
    assert said.status == 302
    assert location.isascii()
    assert location.isprintable()
    assert is_allowed(urlsplit(location).netloc)
    scheme, host = goes_to(location)
    assert scheme in ("http", "https")
    assert is_allowed(host)


@given(text=URLS.map(encodable))
@settings(max_examples=600, deadline=None)
def test_what_is_read_as_an_address_is_read_by_a_browser_alike(text: str) -> None:
    url = read_web_url(text)
    if url is None:
        return
    try:
        assert goes_to(text, base_scheme="none") == (url.scheme, url.authority)
    except Failure:
        assert "xn--" in url.host or url.host.startswith("-")
