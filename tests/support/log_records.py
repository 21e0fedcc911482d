"""Kafka records and batches as the worker sees them, without Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from processors.runtime.batches import RecordBatch


class FakeRecord(NamedTuple):
    """A LogRecord."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def batch_of(topic: str, log: Sequence[FakeRecord], begin: int, end: int, partition: int = 0) -> RecordBatch:
    """What lies in ``log`` from offset ``begin`` up to, not including, ``end``."""
    return RecordBatch(topic, partition, begin, end, [record for record in log if begin <= record.offset < end])
