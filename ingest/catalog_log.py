"""The catalog log from outside the running system: read it whole, apply a new version (DESIGN 5)."""

from __future__ import annotations

import hashlib
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from ingest.catalog_reader import open_reader, take
from ingest.errors import CatalogRaced, KafkaUnreachable, NotAcknowledged
from ingest.publisher import producer_settings, text_of
from schemas.catalog import CatalogLog, load_catalog
from schemas.codec import encode
from schemas.records import CatalogVersion
from schemas.times import format_time
from schemas.topics import CATALOG

CATALOG_BYTES = 32 << 20
APPLY_TIMEOUT_S = 30.0
POLL_S = 0.2


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def read_catalog_log(kafka: str, timeout_s: float = APPLY_TIMEOUT_S) -> CatalogLog:
    """Every version that is in the log now. KafkaUnreachable when its end is not reached within ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    versions = CatalogLog()
    consumer = open_reader(kafka)
    try:
        end = end_offset(consumer, kafka, deadline, timeout_s)
        position = 0
        while position < end:
            if time.monotonic() > deadline:
                raise KafkaUnreachable(f"the catalog log at {kafka} was not read to its end within {timeout_s:g} s")
            message = consumer.poll(POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is None:
                take(versions, message)
                position = (message.offset() or 0) + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                break
    finally:
        consumer.close()
    return versions


def end_offset(consumer: Consumer, kafka: str, deadline: float, timeout_s: float) -> int:
    """The log's end offset, asked for until the broker answers."""
    problem = "no answer"
    while (left := deadline - time.monotonic()) > 0:
        try:
            _, end = consumer.get_watermark_offsets(TopicPartition(CATALOG, 0), timeout=min(left, 5))
            return int(end)
        except KafkaException as error:
            problem = text_of(error.args[0])
            time.sleep(POLL_S)
    detail = f"no catalog log at {kafka} within {timeout_s:g} s ({problem}); is Kafka up, and were the topics created?"
    raise KafkaUnreachable(detail)


def publish_catalog(
    kafka: str, text: str, author: str, lead_ms: int = 5_000, after: int | None = None
) -> CatalogVersion:
    """Check ``text`` (YAML) and write it as the next version of the catalog, which is returned.

    The first version is in effect at once, and always was; a later one ``lead_ms`` from now, so that every process has
    read it by then, and never before the one before it. ``after``: the version that has to be the newest. Raises
    CatalogInvalid (nothing was written), CatalogRaced (someone else was first), KafkaUnreachable, NotAcknowledged.
    """
    load_catalog(text)
    latest = read_catalog_log(kafka).latest
    if latest is not None and after is not None and latest.version != after:
        raise CatalogRaced(latest.version, latest.author)
    now = now_ms()
    version = CatalogVersion(
        version=1 if latest is None else latest.version + 1,
        effective_at=now if latest is None else max(now + lead_ms, latest.effective_at),
        written_at=now,
        author=author,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        document=text,
    )
    produce_version(kafka, version)
    standing = read_catalog_log(kafka).versions[version.version - 1]
    if standing != version:
        raise CatalogRaced(standing.version, standing.author)
    return version


def produce_version(kafka: str, version: CatalogVersion) -> None:
    """Write one record and wait for its acknowledgement."""
    failures: list[str] = []
    producer = Producer(
        producer_settings(kafka, APPLY_TIMEOUT_S) | {"message.max.bytes": CATALOG_BYTES, "linger.ms": 0}
    )
    try:
        producer.produce(
            CATALOG,
            encode(version),
            timestamp=version.written_at,
            headers=[
                ("ce_id", str(version.version).encode()),
                ("ce_type", b"accredit.catalog_version"),
                ("ce_time", format_time(version.written_at).encode()),
            ],
            on_delivery=lambda error, _: failures.append(text_of(error)) if error is not None else None,
        )
    except KafkaException as error:
        raise NotAcknowledged(text_of(error.args[0])) from None
    left = producer.flush(APPLY_TIMEOUT_S + 5)
    if failures or left:
        raise NotAcknowledged(failures[0] if failures else "the catalog version was not acknowledged")
