"""Reading the catalog log: a consumer without a group on its one partition."""

from __future__ import annotations

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from schemas.catalog import CatalogLog
from schemas.codec import decode
from schemas.errors import BadFrame
from schemas.records import CatalogVersion
from schemas.topics import CATALOG

log = structlog.get_logger(__name__)


def open_reader(kafka: str) -> Consumer:
    """A consumer at the beginning of the catalog log. It commits nothing and joins no group."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "accredit-catalog",  # librdkafka wants one; with assign it is not used
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
            "fetch.message.max.bytes": 32 << 20,
            "topic.metadata.refresh.interval.ms": 10_000,
            "reconnect.backoff.max.ms": 1_000,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(CATALOG, 0, OFFSET_BEGINNING)])
    return consumer


def take(into: CatalogLog, message: Message) -> CatalogVersion | None:
    """Add a record of the log. None, with a line in the log, for one that is no version or whose number is taken."""
    try:
        record = decode(message.value())
    except BadFrame as error:
        log.error("catalog_record_skipped", offset=message.offset(), reason=error.reason, detail=error.detail)
        return None
    if not isinstance(record, CatalogVersion) or not into.add(record):
        log.warning("catalog_record_skipped", offset=message.offset(), reason="NOT_THE_NEXT_VERSION")
        return None
    return record
