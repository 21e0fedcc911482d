"""What ClickHouse can say for the audit: which records of the log it has, and what each door's hours came to.

Every row of ``clicks``, ``conversions`` and ``adjustments`` knows its place in the log, so completeness is a matter of
offsets: no row is trusted because another one is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from schemas.topics import ADJUSTMENTS, CLICKS, CONVERSIONS
from sinks.clickhouse.reports import Period
from sinks.clickhouse.rows import TABLES

AUDITED = (CLICKS, CONVERSIONS, ADJUSTMENTS)
LISTED = 1_000  # offsets that one answer names


class Balance(NamedTuple):
    """One door's hour (its start, ms): records received, and what became of them."""

    kind: str
    door: str
    hour: int
    received: int
    accepted: int
    duplicates: int
    credited: int
    unattributed: int


class Uncredited(NamedTuple):
    """A conversion without a credit, and where its first record stands."""

    conversion_id: str
    order_id: str | None
    door: str
    received_at: int
    partition: int
    offset: int


class Unwritten(NamedTuple):
    """A claim that settlement says stands, at a version that the credits do not have."""

    conversion_id: str
    order_id: str | None
    session_id: str
    version: int
    received_at: int


def counts(client: Client, database: str, topic: str, ends: Mapping[int, int]) -> dict[int, int]:
    """Partition → how many distinct offsets below its end the table has."""
    query = f"SELECT kafka_partition, kafka_offset FROM {database}.{TABLES[topic]}"
    found = {}
    for partition, end in ends.items():
        rows = client.query(
            f"SELECT uniqExact(kafka_offset) FROM ({query}) WHERE kafka_partition = {{p:UInt32}} "
            "AND kafka_offset < {end:UInt64}",
            parameters={"p": partition, "end": end},
        ).result_rows
        found[partition] = int(rows[0][0])
    return found


def missing(client: Client, database: str, topic: str, partition: int, low: int, end: int) -> list[int]:
    """Offsets of ``[low, end)`` that are neither in the table nor in the sink's dead letters; the first 1,000."""
    rows = client.query(
        f"""
        SELECT {{low:UInt64}} + number AS offset FROM numbers({{n:UInt64}})
        WHERE offset NOT IN (
            SELECT kafka_offset FROM {database}.{TABLES[topic]} WHERE kafka_partition = {{p:UInt32}})
        AND offset NOT IN (
            SELECT toUInt64(assumeNotNull(offset)) FROM {database}.dead_letters
            WHERE stage = 'sink' AND topic = {{topic:String}} AND partition = {{p:UInt32}} AND offset IS NOT NULL)
        ORDER BY offset LIMIT {LISTED}
        """,
        parameters={"low": low, "n": max(end - low, 0), "p": partition, "topic": topic},
    ).result_rows
    return [int(row[0]) for row in rows]


def dead_letter_ids(client: Client, database: str) -> set[str]:
    """Every dead letter that is in the table, withdrawn ones too."""
    return {
        str(row[0]) for row in client.query(f"SELECT DISTINCT dead_letter_id FROM {database}.dead_letters").result_rows
    }


def uncredited(client: Client, database: str) -> list[Uncredited]:
    """Conversions of which no credit is there."""
    rows = client.query(
        f"""
        SELECT conversion_id, argMin(order_id, kafka_offset), argMin(door, kafka_offset),
            min(toUnixTimestamp64Milli(received_at)), argMin(kafka_partition, kafka_offset), min(kafka_offset)
        FROM {database}.conversions
        WHERE conversion_id NOT IN (SELECT conversion_id FROM {database}.credits WHERE run_id = 'live')
        GROUP BY conversion_id ORDER BY 4 LIMIT {LISTED}
        """
    ).result_rows
    return [Uncredited(*row) for row in rows]


def unwritten(client: Client, database: str) -> list[Unwritten]:
    """Claims that stand, of which neither the version that settlement saw is in the credits nor a later one.

    Only of conversions that have some credit: ``uncredited`` has the others.
    """
    rows = client.query(
        f"""
        SELECT conversion_id, order_id, toString(session_id), claim_version, toUnixTimestamp64Milli(received_at)
        FROM (SELECT * FROM {database}.settlements FINAL WHERE run_id = 'live') AS s
        LEFT JOIN (
            SELECT conversion_id, session_id, max(version) AS newest FROM {database}.credits WHERE run_id = 'live'
            GROUP BY conversion_id, session_id) AS c USING (conversion_id, session_id)
        WHERE c.newest < s.claim_version
            AND conversion_id IN (SELECT conversion_id FROM {database}.credits WHERE run_id = 'live')
        ORDER BY received_at, conversion_id LIMIT {LISTED}
        """
    ).result_rows
    return [Unwritten(*row) for row in rows]


def balances(client: Client, database: str, period: Period) -> list[Balance]:
    """Per kind, door and hour of ``received_at``: the records, the distinct events, the copies, the decisions."""
    where = period.where("received_at")
    rows = client.query(
        f"""
        SELECT kind, door, toUnixTimestamp(hour) * 1000, sum(received) AS r, sum(accepted) AS a, r - a,
            sum(credited), sum(unattributed)
        FROM (
            SELECT type AS kind, door, toStartOfHour(received_at) AS hour,
                uniqExact(kafka_partition, kafka_offset) AS received, 0 AS accepted, 0 AS credited, 0 AS unattributed
            FROM {database}.clicks WHERE {where} GROUP BY kind, door, hour
            UNION ALL
            SELECT type, door, toStartOfHour(received_at), 0, count(), 0, 0
            FROM {database}.v_clicks WHERE {where} GROUP BY 1, 2, 3
            UNION ALL
            SELECT 'conversion', door, toStartOfHour(received_at), uniqExact(kafka_partition, kafka_offset), 0, 0, 0
            FROM {database}.conversions WHERE {where} GROUP BY 1, 2, 3
            UNION ALL
            SELECT 'conversion', v.door, toStartOfHour(v.received_at), 0, count(),
                countIf(c.status = 'credited'), countIf(c.status = 'unattributed')
            FROM {database}.v_conversions AS v
            LEFT JOIN (SELECT conversion_id, status FROM {database}.v_credits) AS c USING (conversion_id)
            WHERE {where.replace("received_at", "v.received_at")} GROUP BY 1, 2, 3
            UNION ALL
            SELECT 'adjustment', door, toStartOfHour(received_at), count(), count(), 0, 0
            FROM {database}.adjustments FINAL WHERE {where} GROUP BY 1, 2, 3
        )
        GROUP BY kind, door, hour ORDER BY hour, door, kind
        """,
        parameters=period.parameters,
    ).result_rows
    return [Balance(str(row[0]), str(row[1]), *map(int, row[2:])) for row in rows]
