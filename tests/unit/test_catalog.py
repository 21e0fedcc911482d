"""The catalog: every mistake is named with file, line, field and the way out."""

from __future__ import annotations

import pytest

from schemas.catalog import load_catalog
from schemas.errors import CatalogInvalid

GOOD = """\
advertisers:
  - id: shop
    currency: EUR
    programs: [{id: vip}]
offers:
  - {id: shoes, advertiser_id: shop, landing_url: "https://shop.example/"}
partners:
  - {id: anna, type: influencer}
  - {id: bert, type: publisher}
contracts:
  - id: c1
    partner_id: anna
    program_id: shop
    from: 2026-01-01T00:00:00Z
    until: 2026-06-01T00:00:00Z
    payout: [{country: NO, percent: "8"}]
  - id: c2
    partner_id: anna
    program_id: shop
    from: 2026-06-01T00:00:00Z
    payout: [{percent: 8}]
promo_codes:
  - {code: ANNA, partner_id: anna, program_id: shop, from: 2026-01-01T00:00:00Z}
"""


def problems(old: str, new: str) -> list[str]:
    assert old in GOOD
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog(GOOD.replace(old, new), "shop.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_a_good_catalog_loads_and_norway_stays_a_country() -> None:
    catalog = load_catalog(GOOD)
    assert catalog.contracts[0].payout[0].country == ("NO",)
    assert load_catalog("").offers == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('percent: "8"', 'percent: "-8"', ["shop.yaml:16: contracts[0].payout[0].percent: ", "negative"]),
        ('percent: "8"', 'percent: "108"', ["shop.yaml:16: ", "more than 100"]),
        ('percent: "8"', "percent: 8e1", ["shop.yaml:16: ", "not an amount"]),
        ('percent: "8"', 'percent: "8", flat: "1"', ["shop.yaml:16: ", "either flat or percent"]),
        ("until: 2026-06-01", "until: 2025-06-01", ["shop.yaml:11: contracts[0]: ", "before it starts"]),
        ("until: 2026-06-01", "until: 2026-07-01", ["shop.yaml:17: contracts[1]: ", "same time", "until: 2026-06-01"]),
        ("    until: 2026-06-01T00:00:00Z\n", "", ["contract 'c2'", "same time", "'c1'"]),
        ("id: c2", "id: c1", ["shop.yaml:17: contracts[1].id: ", "twice", "line 11"]),
        ("partner_id: anna, program_id: shop", "partner_id: eve, program_id: shop", ["shop.yaml:23: ", "'eve'"]),
        ("advertiser_id: shop", "advertiser_id: shop, program_id: nope", ["shop.yaml:6: offers[0].program_id", "nope"]),
        ("currency: EUR", "currency: EUX", ["shop.yaml:3: advertisers[0].currency: ", "ISO 4217"]),
        ("currency: EUR", "currency: EUR\n    timezone: Mars/Base", ["shop.yaml:4: ", "IANA"]),
        ("type: influencer", "type: influenzer", ["shop.yaml:8: partners[0].type: ", "'influenzer' is none of"]),
        ("type: influencer", "type: influencer, tpye: x", ["shop.yaml:8: partners[0].tpye: ", "not a field"]),
        ("    partner_id: anna\n    program_id: shop\n    from: 2026-06", "    program_id: shop\n    from: 2026-06",
         ["shop.yaml:17: contracts[1].partner_id: is required"]),
        ("from: 2026-06-01T00:00:00Z", "from: soon", ["shop.yaml:20: contracts[1].from: ", "RFC 3339"]),
        ("id: c2\n", "id: c2\n    window: 7 days\n", ["shop.yaml:18: contracts[1].window: ", "duration"]),
        ("advertiser_id: shop", "advertiser_id: shop, deep_link_domains: a.example",
         ["shop.yaml:6: offers[0].deep_link_domains: is a list"]),
        ("id: c2\n", "id: c2\n    offer_id: shoes\n", ["shop.yaml:17: contracts[1]: ", "either program_id"]),
        ("  - id: c2", "  - id: [c2", ["shop.yaml:", "(yaml)"]),
        ("id: c2\n", "id: c2\n    id: c3\n", ["shop.yaml:18: contracts[1].id: ", "twice"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named(old: str, new: str, said: list[str]) -> None:
    text = "\n".join(problems(old, new))
    for part in said:
        assert part in text


def test_a_code_owned_twice_at_once_is_refused_and_one_after_the_other_is_not() -> None:
    second = "  - {code: anna, partner_id: bert, program_id: shop, from: 2026-02-01T00:00:00Z}\n"
    with pytest.raises(CatalogInvalid, match=r"shop.yaml:24: promo_codes\[1\].*same time.*'ANNA' of 'anna'"):
        load_catalog(GOOD + second, "shop.yaml")
    handed_over = GOOD.replace(
        "from: 2026-01-01T00:00:00Z}", "from: 2026-01-01T00:00:00Z, until: 2026-02-01T00:00:00Z}"
    )
    assert len(load_catalog(handed_over + second).promo_codes) == 2


def test_all_problems_come_at_once() -> None:
    text = GOOD.replace("partner_id: anna", "partner_id: nobody")
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog(text)
    assert len(caught.value.problems) == 3


def test_null_is_not_given_and_in_quotes_it_is_text() -> None:
    offer = load_catalog(GOOD.replace("advertiser_id: shop,", "advertiser_id: shop, name: null, window: ~,", 1)).offers[
        0
    ]
    assert (offer.name, offer.window) == (None, None)
    offer = load_catalog(GOOD.replace("advertiser_id: shop,", 'advertiser_id: shop, name: "null",', 1)).offers[0]
    assert offer.name == "null"


REPEATED = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(8)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200_000, "nested more than"),
        ("- " * 100_000, "nested more than"),
        ("{a: " * 100_000, "nested more than"),
        (REPEATED, "repeat too much"),
        ("a: &a [*a]", "repeat too much"),
        ("? [a, b]\n: 1", "plain text"),
        ('{"offers": [{"id": "\ud800"}]}', "surrogate"),
        ("a: \x00", "control characters"),
    ],
    ids=["brackets", "dashes", "braces", "ten-to-the-ninth", "itself", "key", "surrogate", "null"],
)
def test_what_would_crash_or_never_end_is_refused(text: str, said: str) -> None:
    with pytest.raises(CatalogInvalid, match=said):
        load_catalog(text)
