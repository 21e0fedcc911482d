"""The search behind ``--verify``: every topic, every table, every store, and every other file of the installation."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from console.errors import BrokerUnreachable
from console.forget.subject import Subject
from console.forget.traces import FIELDS, Traces
from schemas.topics import TOPICS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

POLL_S = 1.0
POLLS_WITHOUT_NEWS = 30
READ_RECORDS = 10_000
NEEDLES_A_QUERY = 200  # multiSearchAny takes 255
SERVICES = ("kafka", "clickhouse", "state")
"""Folders of the services; asked through them, or read as what they are."""


class Place(NamedTuple):
    """Where was looked, at how many records, rows or files, and what was found how often."""

    name: str
    looked_at: int
    found: Counter[str]


def search(kafka: str, client: Client, data: Path, subject: Subject, traces: Traces) -> Iterator[Place]:
    """Look everywhere."""
    for topic in TOPICS:
        yield in_topic(kafka, topic.name, traces)
    yield from in_tables(client, subject, traces)
    yield in_stores(data / "state", traces)
    yield in_files(data, traces)


def in_topic(kafka: str, topic: str, traces: Traces) -> Place:
    """Every record that is in the topic when the search begins. BrokerUnreachable."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "accredit-forget",  # librdkafka wants one; with assign it is not used
            "enable.auto.commit": False,
            "fetch.message.max.bytes": 32 << 20,
            "log_level": 0,
        }
    )
    found: Counter[str] = Counter()
    looked_at = silent = 0
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        left = {}
        for number in partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            if high > low:
                left[number] = high
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
        while left:
            messages = consumer.consume(READ_RECORDS, POLL_S)
            silent = 0 if messages else silent + 1
            if silent > POLLS_WITHOUT_NEWS:
                raise BrokerUnreachable(kafka, f"{topic} could not be read to its end")
            for message in messages:
                number, offset = message.partition(), message.offset()
                if message.error() is not None or number not in left or offset is None:
                    continue
                looked_at += 1
                found.update(traces.in_record(message.key(), message.value() or b""))
                if offset + 1 >= left[number]:
                    del left[number]
    finally:
        consumer.close()
    return Place(f"Kafka {topic}", looked_at, found)


def in_tables(client: Client, subject: Subject, traces: Traces) -> Iterator[Place]:
    """Every row of every table of the database, as text; the subject's own clicks and conversions by their fields."""
    quiet = {"log_queries": 0}
    tables = client.query(
        "SELECT name, total_rows FROM system.tables WHERE database = 'accredit' AND engine LIKE '%MergeTree' "
        "ORDER BY name"
    ).result_rows
    for table, rows in tables:
        found: Counter[str] = Counter()
        for start in range(0, len(traces.written), NEEDLES_A_QUERY):
            count = client.query(
                f"SELECT count() FROM accredit.{table} "
                "WHERE multiSearchAny(formatRow('TSVRaw', *), {values:Array(String)})",
                parameters={"values": traces.written[start : start + NEEDLES_A_QUERY]},
                settings=quiet,
            ).result_rows[0][0]
            if count:
                found["a value of the subject in the clear"] += count
        if table in ("clicks", "conversions"):
            fields = FIELDS if table == "clicks" else FIELDS[:2]
            own = client.query(
                f"SELECT toString(session_id), params, {', '.join(fields)} FROM accredit.{table} "
                "WHERE session_id IN {sessions:Array(UUID)}",
                parameters={"sessions": sorted(subject.sessions)},
                settings=quiet,
            ).result_rows
            for session_id, params, *values in own:
                found.update(traces.in_fields(session_id, dict(zip(fields, values, strict=True)), params))
        yield Place(f"ClickHouse {table}", rows or 0, found)


def in_stores(state: Path, traces: Traces) -> Place:
    """The workers' RocksDB stores as they are on disk. What is not flushed yet is a copy of what is in the topics."""
    from rocksdict import AccessType, Options, Rdict

    found: Counter[str] = Counter()
    looked_at = 0
    for current in sorted(state.rglob("CURRENT")) if state.exists() else ():
        store = Rdict(str(current.parent), Options(raw_mode=True), access_type=AccessType.read_only())
        try:
            for key, value in store.items():
                assert isinstance(key, bytes)
                assert isinstance(value, bytes)  # raw mode
                looked_at += 1
                found.update(traces.in_record(key, value))
        finally:
            store.close()
    return Place("workers' stores", looked_at, found)


def in_files(data: Path, traces: Traces) -> Place:
    """Spool, logs and whatever else is in the folder."""
    found: Counter[str] = Counter()
    looked_at = 0
    for file in sorted(data.rglob("*")):
        if file.relative_to(data).parts[0] in SERVICES or not file.is_file() or file.is_symlink():
            continue
        looked_at += 1
        with file.open("rb") as opened:
            if file.stat().st_size:
                with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as raw:
                    found.update(traces.in_bytes(raw))  # type: ignore[arg-type]  # re searches buffers as well
    return Place("spool, logs and other files", looked_at, found)
