"""What the run came to, held against the log: the same rules over the whole set of its events at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import clickhouse_connect
import orjson

from console.audit import examine, read_records
from console.installation import Installation
from console.lag import Broker
from processors.core.claims import Standing, stand
from processors.core.offline import History
from processors.core.public import public_credit
from processors.core.settlement import claim_key
from processors.core.terms import CompiledLog
from schemas.catalog import CatalogLog
from schemas.codec import decode
from schemas.records import CatalogVersion, Click, Conversion, Credit, Record
from schemas.topics import CATALOG, CLICKS, CONVERSIONS, CREDITS

SHOWN = 5


class Verdict(NamedTuple):
    """Numbers that must be 0 but the first two."""

    sent: int
    accounted_for: int
    wrong: int
    lost: int
    twice: int
    remarks: list[str]

    @property
    def clean(self) -> bool:
        return self.sent == self.accounted_for and not (self.wrong or self.lost or self.twice)


def judge(installation: Installation, answered: list[dict[str, Any]]) -> Verdict:
    """Compare what senders were answered, what is in the log, what Kafka and ClickHouse say of credits."""
    kafka = installation.broker()
    there, history, catalogs = read_events(kafka)
    names = {event.get("click_id") or event["order_id"] for event in answered}
    remarks = []
    lost = len(names - there)
    if lost:
        remarks.append(f"answered and not in the log: {sorted(names - there)[:SHOWN]}")
    expected = {s.credit.conversion_id: s for s in history.settle(CompiledLog(catalogs), "live")[0]}
    claims = latest_claims(kafka)
    wrong, remarks_of_claims = compare(expected, claims)
    in_rows, twice, remarks_of_rows = compare_rows(expected, rows(installation.server()))
    found = examine(installation)
    unexplained = len(found.unexplained)
    remarks += remarks_of_claims + remarks_of_rows + [u.detail for u in found.unexplained[:SHOWN]]
    return Verdict(len(names), len(names & there), wrong + in_rows, lost + unexplained, twice, remarks)


def read_all(kafka: str, topics: Iterable[str]) -> Iterator[Record]:
    ends = Broker(kafka).offsets(topics)
    for _, _, value in read_records(kafka, [(place, offset.low, offset.end) for place, offset in ends.items()]):
        yield decode(value)


def read_events(kafka: str) -> tuple[set[str], History, CatalogLog]:
    """Names of all events in the log, the events, the catalog."""
    names: set[str] = set()
    history = History()
    versions = CatalogLog()
    for record in read_all(kafka, (CLICKS, CONVERSIONS, CATALOG)):
        if isinstance(record, Click):
            names.add(record.click_id)
            history.add_click(record)
        elif isinstance(record, Conversion):
            names.add(str(record.order_id))
            history.add_conversion(record)
        elif isinstance(record, CatalogVersion):
            versions.add(record)
    return names, history, versions


def latest_claims(kafka: str) -> dict[str, Standing]:
    """Conversion → what stands of it by the credits topic: of each claim the greatest version."""
    latest: dict[str, Credit] = {}
    for record in read_all(kafka, (CREDITS,)):
        assert isinstance(record, Credit)
        key = claim_key(record)
        if key not in latest or latest[key].version < record.version:
            latest[key] = record
    by_conversion: dict[str, list[Credit]] = defaultdict(list)
    for claim in latest.values():
        by_conversion[claim.conversion_id].append(claim)
    return {name: stand(group) for name, group in by_conversion.items()}


def compare(expected: dict[str, Standing], found: dict[str, Standing]) -> tuple[int, list[str]]:
    """How many credits differ, byte for byte in the public shape or in their version."""
    wrong = []
    for name in expected.keys() | found.keys():
        one, other = expected.get(name), found.get(name)
        if one is None or other is None:
            wrong.append(f"{name}: {'not expected' if one is None else 'no credit'}")
        elif as_bytes(one) != as_bytes(other) or one.credit.version != other.credit.version:
            wrong.append(f"credit topic: expected {as_bytes(one)!r} v{one.credit.version}, is {as_bytes(other)!r}")
    return len(wrong), wrong[:SHOWN]


def as_bytes(standing: Standing) -> bytes:
    return orjson.dumps(public_credit(standing))


ROW = "conversion_id, version, toString(session_id), status, partner_id, contract_id, payout, revenue, duplicates"


def rows(address: str) -> list[tuple[Any, ...]]:
    """What the view that reports read says, a row per conversion."""
    client = clickhouse_connect.get_client(dsn=address)
    try:
        return [tuple(row) for row in client.query(f"SELECT {ROW} FROM accredit.v_credits").result_rows]
    finally:
        client.close()


def compare_rows(expected: dict[str, Standing], found: list[tuple[Any, ...]]) -> tuple[int, int, list[str]]:
    """Differing rows, and rows that are there twice."""
    known: dict[str, tuple[Any, ...]] = {}
    twice = 0
    for row in found:
        twice += row[0] in known
        known[row[0]] = row
    wrong = []
    for name, standing in expected.items():
        c = standing.credit
        money = tuple(None if value is None else Decimal(value) for value in (c.payout, c.revenue))
        want = (name, c.version, c.session_id, c.status, c.partner_id, c.contract_id, *money, standing.duplicates)
        if known.pop(name, None) != want:
            wrong.append(f"v_credits: expected {want}")
    wrong += [f"v_credits: not expected {name}" for name in known]
    return len(wrong), twice, wrong[:SHOWN]
