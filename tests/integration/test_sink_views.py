"""The views on the real engine: the same rows whatever is delivered twice, late, or in another order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.core.claims import stand
from processors.core.touch import Touch, merged, telling
from schemas.codec import current_schema
from schemas.records import CatalogVersion, Credit, Settlement
from schemas.topics import TOPICS
from sinks.clickhouse import SinkSettings, migrate
from sinks.clickhouse.dead_letters import letter
from sinks.clickhouse.rows import TABLES, Rejected, Row, Shape
from sinks.clickhouse.target import ClickHouse
from tests.support.sink_records import (
    CATALOG,
    CLICKS,
    CONVERSIONS,
    CREDITS,
    DEAD,
    SESSION,
    SETTLEMENTS,
    START,
    click,
    conversion,
    credit,
    rows,
)

pytestmark = pytest.mark.integration
DATABASE = "sink_views"
OTHER = "018f3c1f-0000-7000-0000-000000000002"  # greater as text, smaller in ClickHouse's order of UUIDs
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Engine:
    """A migrated database, its target, and queries on it."""

    def __init__(self, url: str) -> None:
        migrate(url, DATABASE)
        self.client: Client = clickhouse_connect.get_client(dsn=url, database=DATABASE, autogenerate_session_id=False)
        self.target = ClickHouse(SinkSettings(kafka="", clickhouse_url=url, database=DATABASE))

    def empty(self) -> None:
        for table in TABLES.values():
            self.client.command(f"TRUNCATE TABLE {table}")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.client.query(sql).result_rows]


@pytest.fixture(scope="module")
def engine_of_module(clickhouse: str) -> Iterator[Engine]:
    engine = Engine(clickhouse)
    yield engine
    engine.target.close()
    engine.client.close()


@pytest.fixture
def engine(engine_of_module: Engine) -> Engine:
    engine_of_module.empty()
    return engine_of_module


claims = st.builds(
    credit,
    st.sampled_from(["1", "2"]),
    session_id=st.sampled_from([SESSION, OTHER]),
    amount=st.sampled_from([None, "9", "10", "10.00"]),
    currency=st.sampled_from(["EUR", "USD"]),
    received_at=st.integers(START, START + 2),
    status=st.sampled_from(["credited", "unattributed"]),
    partner_id=st.sampled_from([None, "anna", "bert"]),
    payout=st.sampled_from([None, "0.00", "1.10"]),
    duplicates=st.integers(0, 2),
    run_id=st.sampled_from(["live", "live", "what-if"]),
)


def claim_key(claim: Credit) -> tuple[Any, ...]:
    amount = None if claim.amount is None else Decimal(claim.amount)
    return claim.conversion_id, claim.session_id, amount, claim.currency, claim.run_id


@FEW
@given(st.data())
def test_v_credits_is_what_the_core_says_stands_in_any_order_of_any_versions(
    engine: Engine, data: st.DataObject
) -> None:
    drawn = data.draw(st.lists(claims, min_size=1, max_size=12))
    numbered: dict[tuple[Any, ...], list[Credit]] = defaultdict(list)
    for claim in drawn:
        versions = numbered[claim_key(claim)]
        versions.append(claim._replace(version=len(versions) + 1))
    records = [claim for versions in numbered.values() for claim in versions]
    order = data.draw(st.permutations(records + records[: data.draw(st.integers(0, 3))]))
    cut = data.draw(st.integers(0, len(order)))
    engine.empty()
    engine.target.insert(CREDITS, rows(order[:cut]))
    if data.draw(st.booleans()):
        engine.client.command("OPTIMIZE TABLE credits FINAL")
    engine.target.insert(CREDITS, rows(order[cut:], first=cut))

    standing: dict[str, list[Credit]] = defaultdict(list)
    for versions in numbered.values():
        if versions[-1].run_id == "live":
            standing[versions[-1].conversion_id].append(versions[-1])
    expected = {}
    for conversion_id, group in standing.items():
        stands = stand(group)
        expected[conversion_id] = (*told(stands.credit), stands.duplicates, contents(group) - 1)
    found = engine.rows(
        "SELECT conversion_id, toString(session_id), status, partner_id, amount, currency, payout,"
        " duplicates, conflicts FROM v_credits"
    )
    assert {row[0]: row[1:] for row in found} == expected


def told(claim: Credit) -> tuple[Any, ...]:
    amount, payout = (None if text is None else Decimal(text) for text in (claim.amount, claim.payout))
    return claim.session_id, claim.status, claim.partner_id, amount, claim.currency, payout


def contents(group: list[Credit]) -> int:
    return len({claim_key(claim)[2:4] for claim in group})


touches = st.builds(
    click,
    st.integers(0, 2),
    session_id=st.sampled_from([SESSION, OTHER]),
    occurred_at=st.integers(START, START + 1),
    received_at=st.integers(START, START + 2),
    partner_id=st.sampled_from(["anna", "bert"]),
    invalid=st.sampled_from([None, None, "bot"]),
    country=st.sampled_from([None, "DE"]),
)


@FEW
@given(st.lists(touches, min_size=1, max_size=12, unique_by=lambda c: (c.session_id, c.click_id, c.received_at)))
def test_v_clicks_is_what_the_core_takes_for_one_touch(engine: Engine, drawn: list[Any]) -> None:
    engine.empty()
    engine.target.insert(CLICKS, rows(drawn))
    engine.target.insert(CLICKS, rows(drawn[:3]))
    engine.target.insert(CLICKS, rows(reversed(drawn), first=100))
    copies: dict[tuple[str, str], set[Touch]] = defaultdict(set)
    for each in drawn:
        copies[each.session_id, each.click_id].add(Touch._make(each[: len(Touch._fields)]))
    expected = {}
    for key, group in copies.items():
        one = merged(telling(group))
        expected[key] = (one.occurred_at, one.received_at, one.partner_id, one.invalid, one.country)
    found = engine.rows(
        "SELECT toString(session_id), click_id, toUnixTimestamp64Milli(occurred_at),"
        " toUnixTimestamp64Milli(received_at), partner_id, invalid, country FROM v_clicks"
    )
    assert {row[:2]: row[2:] for row in found} == expected


def test_v_clicks_counts_deliveries_and_finds_a_session_by_its_key(engine: Engine) -> None:
    engine.target.insert(CLICKS, rows([click(1), click(1, received_at=START + 9_000), click(2, session_id=OTHER)]))
    assert engine.rows(f"SELECT click_id, deliveries FROM v_clicks WHERE session_id = '{SESSION}'") == [("c-1", 2)]
    plan = "\n".join(
        row[0] for row in engine.rows(f"EXPLAIN indexes = 1 SELECT type FROM v_clicks WHERE session_id = '{SESSION}'")
    )
    assert "PrimaryKey" in plan
    assert "session_id in" in plan


def test_v_conversions_is_the_event_received_first(engine: Engine) -> None:
    late = conversion("1", received_at=START + 90_000, amount="1.00", session_id=OTHER)
    engine.target.insert(CONVERSIONS, rows([late, conversion("1"), conversion("2", amount=None)]))
    engine.target.insert(CONVERSIONS, rows([late]))
    found = engine.rows("SELECT order_id, toString(session_id), amount FROM v_conversions ORDER BY order_id")
    assert found == [("1", SESSION, Decimal("49.9")), ("2", SESSION, None)]


def test_the_explanation_reads_in_sql(engine: Engine) -> None:
    engine.target.insert(CREDITS, rows([credit("1", version=9), credit("1", version=8, candidates=())]))
    found = engine.rows(
        "SELECT position, partner_id, contract_id, type, toUnixTimestamp64Milli(touched_at), rank, reason, click_id"
        " FROM v_candidates WHERE order_id = '1' ORDER BY position"
    )
    assert found == [
        (1, "anna", "c-anna", "click", START + 1, 1, None, "c-1"),
        (2, "bert", None, "click", START, None, "NO_CONTRACT", "c-0"),
        (3, "cleo", "c-cleo", "promo_code", None, None, "POLICY_NOT_MET", None),
    ]


def test_a_withdrawn_dead_letter_is_gone_whatever_comes_late(engine: Engine) -> None:
    original = bytes(range(256))
    one = letter(Rejected("clicks", Row(1, 2, original, b"\x00\xff", START), "BAD_FRAME", "why"), START)
    two = letter(Rejected("clicks", Row(1, 3, b"other", None, None), "BAD_FRAME", "why"), START)
    withdrawn = one._replace(version=one.version + 1, withdrawn=True)
    engine.target.insert(DEAD, rows([one]))
    hexed = "SELECT hex(original), hex(key), partition, offset FROM v_dead_letters"
    assert engine.rows(hexed) == [(original.hex().upper(), "00FF", 1, 2)]
    engine.target.insert(DEAD, rows([withdrawn, two]))
    engine.target.insert(DEAD, rows([one]))
    assert engine.rows("SELECT dead_letter_id FROM v_dead_letters") == [(two.dead_letter_id,)]


def test_of_two_catalogs_with_one_number_the_logs_first_is_the_version(engine: Engine) -> None:
    first, second = (CatalogVersion(1, START, START, author, "d", f"# {author}") for author in ("ann", "bob"))
    engine.target.insert(CATALOG, rows([second], first=5))
    engine.target.insert(CATALOG, rows([first], first=4))
    assert engine.rows("SELECT version, author, document FROM v_catalog") == [(1, "ann", "# ann")]


def test_every_table_has_the_columns_of_its_schema(engine: Engine) -> None:
    for topic in TOPICS:
        engine.target.insert(Shape(topic.name, current_schema(topic.schema).id), [])


def test_v_settlements_keeps_the_greatest_version(engine: Engine) -> None:
    fields = credit("1")._asdict() | {"claim_version": 1, "claims": 1, "conflicts": 0}
    first = Settlement(**{name: fields[name] for name in Settlement._fields})
    engine.target.insert(SETTLEMENTS, rows([first._replace(version=9, payout="5.00"), first]))
    assert engine.rows("SELECT order_id, payout FROM v_settlements") == [("1", Decimal(5))]


def test_of_two_equal_claims_the_session_that_is_smaller_as_text_stands(engine: Engine) -> None:
    engine.target.insert(CREDITS, rows([credit("1", session_id=OTHER), credit("1")]))
    found = engine.rows("SELECT toString(session_id), duplicates, conflicts FROM v_credits")
    assert found == [(SESSION, 1, 0)]
    engine.target.insert(CREDITS, rows([credit("1", session_id=OTHER, amount="1.00", received_at=START)], first=9))
    found = engine.rows("SELECT toString(session_id), amount, duplicates, conflicts FROM v_credits")
    assert found == [(OTHER, Decimal(1), 0, 1)]
