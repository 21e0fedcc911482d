"""RULES R52: of very many touches those are listed that a full sort would put first, and all are counted."""

from __future__ import annotations

import random

from processors.core import CompiledLog, SessionTouches, Touch, decide_session
from processors.core.eligibility import LISTED
from schemas.catalog import CatalogLog
from schemas.records import CatalogVersion, Conversion

GROUPS = {"p": "preferred", "d": "default", "n": "non_preferred"}
CATALOG = "\n".join(
    [
        "advertisers: [{id: shop, currency: EUR}]",
        'offers: [{id: o, advertiser_id: shop, landing_url: "https://shop.example", window: 1s}]',
        "partners:",
        *(f"  - {{id: {kind}{n}, type: publisher}}" for kind in GROUPS for n in range(30)),
        "contracts:",
        *(
            f"  - {{id: c{kind}{n}, partner_id: {kind}{n}, program_id: shop, credit_group: {group}, "
            'from: 1970-01-01T00:00:00Z, payout: [{flat: "1"}]}'
            for kind, group in GROUPS.items()
            for n in range(30)
        ),
    ]
)
LOG = CompiledLog(CatalogLog.of([CatalogVersion(1, 0, 0, "test", "", CATALOG)]))
SALE = Conversion(
    "v", 5_000, 9_000, "shop", "sale", "A", None, None, None, "1", None, None, None, None, "session", door="bulk"
)


def touches(number: int, kinds: str) -> list[Touch]:
    chance = random.Random(number)
    return [
        Touch(
            f"c{i:05d}", chance.randrange(3_000, 6_000), i, "click", f"{chance.choice(kinds)}{i % 30}", "o", None, None
        )
        for i in range(number)
    ]


def listed(known: list[Touch]) -> tuple[list[str | None], dict[str, int]]:
    [credit] = decide_session("session", [SALE], SessionTouches(known), LOG, "live").credits
    return [candidate.click_id for candidate in credit.candidates], dict(credit.omitted)


def sorted_by_rank(known: list[Touch]) -> list[Touch]:
    order = list(GROUPS)
    return sorted(known, key=lambda t: (-order.index(t.partner_id[0]), t.occurred_at, t.click_id), reverse=True)


def test_more_eligible_touches_than_are_listed() -> None:
    for kinds in ("pdn", "p", "nd"):
        known = touches(6_000, kinds)
        eligible = [touch for touch in known if 4_000 <= touch.occurred_at <= 5_000]
        names, omitted = listed(known)
        assert names == [touch.click_id for touch in sorted_by_rank(eligible)[:LISTED]]
        assert omitted["ELIGIBLE"] == len(eligible) - LISTED
        assert sum(omitted.values()) == len(known) - LISTED


def test_few_eligible_ones_then_the_latest_dropped() -> None:
    known = [touch for touch in touches(6_000, "pdn") if touch.occurred_at > 4_990]
    eligible = [touch for touch in known if touch.occurred_at <= 5_000]
    dropped = sorted(
        (t for t in known if t.occurred_at > 5_000), key=lambda t: (t.occurred_at, t.click_id), reverse=True
    )
    names, omitted = listed(known)
    expected = [*sorted_by_rank(eligible), *dropped][:LISTED]
    assert names == [touch.click_id for touch in expected]
    assert omitted == {"AFTER_CONVERSION": len(known) - LISTED}
