"""docs/coming-from-tune.md, row by row: the page says what the front door does, or a test fails."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest.catalog_index import CatalogIndex
from ingest.config import IngestConfig
from schemas.catalog import load_catalog
from schemas.records import Click, Conversion, Record
from tests.support.front_door import CATALOG, KEYS, NOW, SESSION, FrontDoor

PAGE = Path(__file__).parents[2] / "docs" / "coming-from-tune.md"
TID = KEYS.mint(bytes.fromhex(SESSION.replace("-", "")), NOW - 60_000, "shop", b"123456")
COOKIE = [("cookie", f"accredit_sid={SESSION}")]
VALUES = {
    "aff_id": "anna",
    "adv_id": "shop",
    "amount": "12.50",
    "currency": "USD",
    "offer_id": "shoes",
    "session_ip": "198.51.100.7",
    "transaction_id": TID,
    "url": "https://shop.example/sale?x=1",
}
"""Values that are not any text; our own names for the same take them, too."""
LINKS = CATALOG.replace(
    'landing_url: "https://shop.example/shoes?',
    'deep_link_domains: [shop.example]\n    landing_url: "https://shop.example/shoes?',
)


@cache
def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading; in a cell without words, what is in its back-ticks."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return [[re.sub(r"^`([^`]*)`$", r"\1", cell) for cell in row] for row in cells]


def rows(heading: str) -> list[Any]:
    return [pytest.param(*row[:4], id=row[0]) for row in table(heading)]


def record(url: str, index: CatalogIndex | None = None) -> Record:
    """The one record that a request becomes."""
    door = FrontDoor() if index is None else FrontDoor(index=index)
    said = door.ask("GET", url.replace("TID", TID), headers=COOKIE)
    assert said.status < 400, said.body
    (found,) = door.publisher.records()
    return found


def kept(found: Record, where: str) -> Any:
    """``params.x`` or a field of the record."""
    assert isinstance(found, Click | Conversion)
    return found.params.get(where[7:]) if where.startswith("params.") else getattr(found, where)


@pytest.mark.parametrize(("theirs", "ours", "what"), [row[:3] for row in table("Paths")])
def test_paths(theirs: str, ours: str, what: str) -> None:
    one, other = record(theirs), record(ours)
    assert type(one) is type(other)
    assert isinstance(one, Click | Conversion)
    assert isinstance(other, Click | Conversion)
    aside = {"params": {}, "door": ""}
    assert one._replace(**aside) == other._replace(**aside)
    assert one.door == other.door
    assert {name: value for name, value in one.params.items() if name != "a"} == dict(other.params)
    assert one.session_id == SESSION


@pytest.mark.parametrize(("theirs", "ours", "where", "differs"), rows("Parameters of tracking links"))
def test_parameters_of_tracking_links(theirs: str, ours: str, where: str, differs: str) -> None:
    value = VALUES.get(theirs, "some-thing")
    base = {"offer_id": "shoes", "aff_id": "anna"} | {theirs: value}
    asked = "/aff_c?" + "&".join(f"{name}={text}" for name, text in base.items())
    own = "/c/shoes?partner=anna" if ours == "the path" else f"/c/shoes?partner=anna&{ours}={value}"
    if theirs == "url":
        index = CatalogIndex.of(1, load_catalog(LINKS))
        elsewhere = CatalogIndex.of(1, load_catalog(CATALOG.replace("shop.example", "home.example")))
        for url in (asked, own):
            goes = FrontDoor(index=index).ask("GET", url.replace("?x=1", "")).headers["location"]
            assert goes.startswith("https://shop.example/sale")
            goes = FrontDoor(index=elsewhere).ask("GET", url).headers["location"]
            assert goes.startswith("https://home.example/shoes")
        return
    assert kept(record(asked), where) == value
    assert kept(record(own), where) == value


@pytest.mark.parametrize(("theirs", "ours"), [row[:2] for row in table("Macros of landing pages")])
def test_macros(theirs: str, ours: str) -> None:
    names = ("aff_sub", "aff_sub2", "aff_sub3", "aff_sub4", "aff_sub5", "source", "aff_click_id")
    given = "&".join(f"{name}={name}-value" for name in names)

    def page(macro: str) -> str:
        text = CATALOG.replace("shoes?tid={transaction_id}&p={partner_id}&s={sub1}&x={nonsense}", f"?v={macro}!")
        door = FrontDoor(index=CatalogIndex.of(1, load_catalog(text)))
        said = door.ask("GET", f"/aff_c?offer_id=shoes&aff_id=anna&{given}")
        return said.headers["location"].partition("?v=")[2].rstrip("!")

    found = page(theirs)
    if ours == "nothing":
        assert found == ""
        return
    assert len(found) == len(page(ours))
    if theirs == "{transaction_id}":
        assert KEYS.verify(found).clicked_at == NOW
        assert len(found) == 60
        return
    assert found == page(ours)
    expected = {"{offer_id}": "shoes", "{affiliate_id}": "anna", "{country_code}": ""}
    assert found == expected.get(theirs, f"{theirs[1:-1]}-value")


@pytest.mark.parametrize(("theirs", "ours", "where", "differs"), rows("Parameters of conversion links"))
def test_parameters_of_conversion_links(theirs: str, ours: str, where: str, differs: str) -> None:
    value = VALUES.get(theirs, "some-thing")
    base = {"transaction_id": TID} | {theirs: value}
    query = "&".join(f"{name}={text}" for name, text in base.items())
    ours_query = "&".join(f"{name}={text}" for name, text in ({"transaction_id": TID} | {ours: value}).items())
    for url in (f"/aff_lsr?{query}", f"/pb?{ours_query}", f"/aff_goal?a=lsr&{query}"):
        found = record(url)
        if where == "nowhere":
            assert value not in repr(found)
        else:
            assert kept(found, where) == value
        assert kept(found, "click_id") == TID


def test_adv_sub_as_the_order_number() -> None:
    text = PAGE.read_text().split("```yaml\n")[1].split("```")[0]
    door = FrontDoor(config=IngestConfig.model_validate(yaml.safe_load(text)))
    door.ask("GET", f"/aff_lsr?transaction_id={TID}&adv_sub=o-1")
    door.ask("GET", f"/aff_lsr?transaction_id={TID}&adv_sub=o-2")
    found = [record.order_id for record in door.publisher.records() if isinstance(record, Conversion)]
    assert found == ["o-1", "o-2"]


def test_answers() -> None:
    """The rows are a story, told to two doors."""
    theirs, ours = FrontDoor(), FrontDoor()
    for parameters, tune, own, status in table("Answers"):
        said = theirs.ask("GET", "/aff_lsr?" + parameters.replace("TID", TID))
        assert said.status == int(status), (parameters, said.body)
        assert said.headers["content-type"].startswith("text/plain")
        text = said.body.decode()
        assert text == tune if "=true" in tune else (text.startswith(tune + "err_msg=") and text.endswith(";"))
        said = ours.ask("GET", "/pb?" + parameters.replace("TID", TID))
        assert said.status == int(status)
        assert (said.json.get("reason") or said.json["status"]) == own


def test_an_image_gets_an_image_and_an_iframe_the_text() -> None:
    asked = f"/aff_l?offer_id=shoes&transaction_id={TID}"
    image = FrontDoor().ask("GET", asked, headers=[("accept", "image/avif,image/webp,*/*;q=0.8")])
    assert (image.headers["content-type"], image.body[:6]) == ("image/gif", b"GIF89a")
    assert FrontDoor().ask("GET", asked, headers=[("accept", "text/html,*/*")]).body == b"success=true;"
