"""Records for tests of the sink, and the rows that they are in a topic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.codec import current_schema, encode
from schemas.records import Candidate, Click, Conversion, Credit, Record
from sinks.clickhouse.rows import Row, Shape

START = 1_777_000_000_000
SESSION = "018f3c1e-0000-7000-8000-000000000001"
CLICKS = Shape("clicks", current_schema("click").id)
CONVERSIONS = Shape("conversions", current_schema("conversion").id)
CREDITS = Shape("credits", current_schema("credit").id)
SETTLEMENTS = Shape("settlements", current_schema("settlement").id)
DEAD = Shape("dead-letters", current_schema("dead_letter").id)
CATALOG = Shape("catalog", current_schema("catalog_version").id)


def click(number: int, **more: Any) -> Click:
    base = Click(f"c-{number}", START + number, START + 1000 + number, "click", "anna", "decor", None, "DE", SESSION)
    return base._replace(**more)


def conversion(order: str, **more: Any) -> Conversion:
    base = Conversion(
        conversion_id=f"id-{order}",
        occurred_at=START + 60_000,
        received_at=START + 61_000,
        advertiser_id="shop",
        goal="sale",
        order_id=order,
        program_id=None,
        offer_id=None,
        click_id=None,
        amount="49.90",
        currency="EUR",
        promo_code=None,
        customer_id=None,
        country=None,
        session_id=SESSION,
    )
    return base._replace(**more)


def credit(order: str, **more: Any) -> Credit:
    base = Credit(
        conversion_id=f"id-{order}",
        session_id=SESSION,
        version=1,
        status="credited",
        advertiser_id="shop",
        program_id="holiday",
        goal="sale",
        order_id=order,
        offer_id="decor",
        occurred_at=START + 60_000,
        received_at=START + 61_000,
        amount="49.90",
        currency="EUR",
        promo_code=None,
        country=None,
        partner_id="anna",
        contract_id="c-anna",
        credit_group="preferred",
        method="click",
        click_id="c-1",
        touched_at=START + 1,
        decided_by="only_candidate",
        payout="4.99",
        revenue=None,
        reason=None,
        notes=("GROUP_DEFAULTED c-anna",),
        duplicates=0,
        candidates=(
            Candidate("anna", "c-anna", "click", START + 1, "preferred", 1, None, "c-1"),
            Candidate("bert", None, "click", START, None, None, "NO_CONTRACT", "c-0"),
            Candidate("cleo", "c-cleo", "promo_code", None, "default", None, "POLICY_NOT_MET"),
        ),
        omitted={},
        catalog_version=1,
        run_id="live",
    )
    return base._replace(**more)


def rows(records: Iterable[Record], first: int = 0, partition: int = 0) -> list[Row]:
    """The records one after the other in a partition, from the offset ``first``."""
    return [Row(partition, first + i, encode(record), b"key", START) for i, record in enumerate(records)]
