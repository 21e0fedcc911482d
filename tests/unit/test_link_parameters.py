"""The names that others use on their links, what they become, and the macros of landing pages."""

from __future__ import annotations

import pytest

from ingest.aliases import CLICK_ALIASES, CLICK_TARGETS, MACROS
from ingest.catalog_index import CatalogIndex
from ingest.config import IngestConfig, read_config
from ingest.edge.visitor import FLAGS
from ingest.errors import ConfigInvalid
from schemas.catalog import load_catalog
from schemas.records import Click
from tests.support.front_door import NOW, FrontDoor

PARTNER = {name for name, field in CLICK_ALIASES.items() if field == "partner_id"}


def clicked(door: FrontDoor) -> Click:
    (record,) = door.publisher.records("clicks")
    assert isinstance(record, Click)
    return record._replace(params={name: text for name, text in record.params.items() if name != FLAGS})


@pytest.mark.parametrize("name", sorted(PARTNER))
def test_partner(name: str) -> None:
    door = FrontDoor()
    assert door.ask("GET", f"/c/shoes?{name}=anna").status == 302
    assert clicked(door).partner_id == "anna"


@pytest.mark.parametrize(
    ("name", "field"),
    sorted((name, field) for name, field in CLICK_ALIASES.items() if field.startswith("sub") or field == "source"),
)
def test_sub_ids_and_source(name: str, field: str) -> None:
    door = FrontDoor()
    door.ask("GET", f"/c/shoes?partner=anna&{name}=a%20b")
    assert getattr(clicked(door), field) == "a b"
    assert clicked(door).params == {}


@pytest.mark.parametrize(
    "query",
    [
        "offer_id=shoes&aff_id=anna&aff_sub=1&aff_sub2=2&aff_sub3=3&aff_sub4=4&aff_sub5=5&source=s&aff_click_id=x",
        "oid=shoes&affid=anna&sub1=1&sub2=2&sub3=3&sub4=4&sub5=5&source_id=s&aff_click_id=x",
        "offer_id=shoes&a=anna&s1=1&s2=2&s3=3&s4=4&s5=5&source=s&aff_click_id=x",
        "offer=shoes&partner=anna&sub_id_1=1&sub_id_2=2&sub_id_3=3&sub_id_4=4&sub_id_5=5&source=s&external_id=x",
        "offer=shoes&partner=anna&var1=1&var2=2&var3=3&var4=4&var5=5&source=s&externalid=x",
    ],
    ids=["TUNE", "Everflow", "CAKE", "Keitaro", "Voluum"],
)
def test_a_whole_link_in_each_dialect(query: str) -> None:
    door = FrontDoor()
    assert door.ask("GET", f"/aff_c?{query}").status == 302
    click = clicked(door)
    assert (click.offer_id, click.partner_id, click.source, click.door) == ("shoes", "anna", "s", "redirect")
    assert (click.sub1, click.sub2, click.sub3, click.sub4, click.sub5) == ("1", "2", "3", "4", "5")
    assert click.params == {"aff_click_id": "x"}


@pytest.mark.parametrize("query", ["aff_id=anna", "offer_id=nope&aff_id=anna", ""])
def test_tunes_path_with_no_such_offer_is_a_page_and_a_dead_letter(query: str) -> None:
    door = FrontDoor()
    assert door.ask("GET", f"/aff_c?{query}").status == 404
    assert len(door.publisher.records("dead-letters")) == 1


def test_a_fields_own_name_goes_before_its_aliases() -> None:
    door = FrontDoor()
    door.ask("GET", "/c/shoes?aff_id=bert&partner_id=anna&aff_sub=x&sub1=y&s1=z")
    assert (clicked(door).partner_id, clicked(door).sub1) == ("anna", "y")


def test_utm_and_the_platforms_click_ids_are_kept_by_their_names() -> None:
    names = "utm_source utm_medium utm_campaign utm_term utm_content utm_id gclid gbraid wbraid dclid fbclid msclkid "
    names += "ttclid twclid li_fat_id epik ScCid rdt_cid yclid irclickid awc cjevent ranSiteID c p creative_id"
    door = FrontDoor()
    door.ask("GET", "/c/shoes?partner=anna&" + "&".join(f"{name}=v-{name}" for name in names.split()))
    assert clicked(door).params == {name: f"v-{name}" for name in names.split()}


def test_an_operators_alias_goes_before_ours() -> None:
    config = IngestConfig.model_validate({"links": {"aliases": {"werber": "partner_id", "source": "sub3"}}})
    door = FrontDoor(config=config)
    door.ask("GET", "/c/shoes?werber=anna&source=x&aff_sub=1")
    click = clicked(door)
    assert (click.partner_id, click.source, click.sub3, click.sub1) == ("anna", None, "x", "1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("links: {aliases: {werber: partner}}", "links.aliases.werber.*'partner' is none of partner_id"),
        ("links: {alias: {}}", "links.alias: Extra"),
        ("links: {cookie: {same_site: strict}}", "links.cookie.same_site"),
        ("links: {cookie: {name: 'a b'}}", "links.cookie.name"),
        ("links: {base_url: go.example}", "links.base_url.*like https://go"),
        ("links: {base_url: 'https://go.example/x'}", "links.base_url"),
    ],
)
def test_a_mistake_in_the_configuration_is_named(tmp_path, text: str, said: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "ingest.yaml").write_text(text)
    with pytest.raises(ConfigInvalid, match=said):
        read_config(tmp_path / "ingest.yaml")


def test_every_alias_means_something() -> None:
    assert set(CLICK_ALIASES.values()) == set(CLICK_TARGETS)


def location(template: str, query: str) -> str:
    text = "advertisers: [{id: shop, currency: EUR}]\n"
    text += f'offers: [{{id: shoes, advertiser_id: shop, landing_url: "https://shop.example/{template}"}}]'
    door = FrontDoor(index=CatalogIndex.of(1, load_catalog(text)))
    where = door.ask("GET", f"/c/shoes?{query}").headers["location"]
    click = clicked(door)
    return where.removeprefix("https://shop.example/").replace(click.click_id, "TID")


@pytest.mark.parametrize(
    ("macro", "value"),
    [
        ("transaction_id", "TID"),
        ("click_id", "TID"),
        ("offer_id", "shoes"),
        ("partner_id", "an%20na"),
        ("affiliate_id", "an%20na"),
        ("aff_id", "an%20na"),
        ("source", "s%26x"),
        ("sub1", "1%3D"),
        ("aff_sub", "1%3D"),
        ("aff_sub1", "1%3D"),
        *[(f"sub{n}", f"{n}") for n in range(2, 6)],
        *[(f"aff_sub{n}", f"{n}") for n in range(2, 6)],
        ("promo_code", "S%C3%84VE"),
        ("timestamp", str(NOW // 1_000)),
        ("country", ""),
        ("country_code", ""),
        ("device", "other"),
        ("os", ""),
        ("browser", ""),
        ("gclid", "G%2F1"),  # a parameter on the link
        ("aff_click_id", "theirs"),
        ("nobody_said_this", ""),
    ],
)
def test_a_macro_is_filled_in_url_encoded(macro: str, value: str) -> None:
    query = "partner=an%20na&source=s%26x&sub1=1%3D&sub2=2&sub3=3&sub4=4&sub5=5&promo_code=S%C3%84VE&gclid=G/1"
    query += "&aff_click_id=theirs&country=XX&transaction_id=forged&os=forged"
    assert location(f"a?x={{{macro}}}&y", query) == f"a?x={value}&y"


def test_every_macro_of_the_table_is_tested() -> None:
    (mark,) = [mark for mark in test_a_macro_is_filled_in_url_encoded.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert set(MACROS) <= {macro for macro, _ in mark.args[1]}
