"""The difference between two catalogs, in the words of the file."""

from __future__ import annotations

from schemas.catalog import Catalog, load_catalog
from schemas.catalog.diff import Change, FieldChange, diff, duration_text
from schemas.times import DAY, HOUR

TEXT = """
advertisers: [{id: shop, currency: EUR}]
offers: [{id: lamps, advertiser_id: shop, landing_url: "https://shop.example/", window: 30d}]
partners: [{id: anna, type: influencer}, {id: blog, type: publisher}]
contracts:
  - {id: c-anna, partner_id: anna, program_id: shop, from: 2026-01-01T00:00:00Z, payout: [{goal: sale, percent: "8"}]}
promo_codes:
  - {code: ANNA10, partner_id: anna, program_id: shop, from: 2026-01-01T00:00:00Z}
"""


def catalog(*replaced: tuple[str, str]) -> Catalog:
    text = TEXT
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    return load_catalog(text)


def test_the_same_catalog_differs_in_nothing() -> None:
    assert diff(catalog(), catalog()) == []


def test_an_order_of_entries_is_no_difference() -> None:
    turned = (
        "{id: anna, type: influencer}, {id: blog, type: publisher}",
        "{id: blog, type: publisher}, {id: anna, type: influencer}",
    )
    assert diff(catalog(), catalog(turned)) == []


def test_a_changed_field_is_told_old_and_new() -> None:
    changed = catalog(("window: 30d", "window: 12h"), ('percent: "8"', 'percent: "9.5"'))
    assert diff(catalog(), changed) == [
        Change("~", "offer", "lamps", (FieldChange("window", "30d", "12h"),)),
        Change(
            "~",
            "contract",
            "c-anna",
            (FieldChange("payout", "[{goal: [sale], percent: 8}]", "[{goal: [sale], percent: 9.5}]"),),
        ),
    ]


def test_added_and_taken_out() -> None:
    changes = diff(catalog(), catalog((", {id: blog, type: publisher}", ", {id: mail, type: channel}")))
    assert [(change.sign, change.kind, change.name) for change in changes] == [
        ("-", "partner", "blog"),
        ("+", "partner", "mail"),
    ]


def test_a_code_that_changes_hands_is_two_entries() -> None:
    anna = "{code: ANNA10, partner_id: anna, program_id: shop, from: 2026-01-01T00:00:00Z"
    blog = "{code: ANNA10, partner_id: blog, program_id: shop, from: 2026-06-01T00:00:00Z}"
    ended = (anna + "}", f"{anna}, until: 2026-06-01T00:00:00Z}}\n  - {blog}")
    changes = diff(catalog(), catalog(ended))
    assert [(change.sign, change.kind) for change in changes] == [("~", "promo code"), ("+", "promo code")]
    assert changes[0].fields == (FieldChange("until", "", "2026-06-01T00:00:00Z"),)


def test_the_first_catalog_is_all_new() -> None:
    assert {change.sign for change in diff(None, catalog())} == {"+"}
    assert len(diff(None, catalog())) == 6


def test_durations_in_their_largest_unit() -> None:
    assert [duration_text(each) for each in (30 * DAY, 36 * HOUR, 1_500, 0)] == ["30d", "36h", "1500ms", "0ms"]
