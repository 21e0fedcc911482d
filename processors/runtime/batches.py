"""What travels from Kafka to the agent: the records fetched of one partition, as one message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.topics import CLICKS, CONVERSIONS

JOINED = (CLICKS, CONVERSIONS)
"""The two topics that meet: equal partition counts, the same key, one worker for a partition number of both."""


class LogRecord(Protocol):
    """A record as aiokafka's Cython reader makes it. ``timestamp`` in milliseconds."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class RecordBatch(NamedTuple):
    """All records of the log from offset ``begin`` up to, not including, ``end``.

    Offsets without a record (control records, compaction) are inside: two batches join without a gap exactly if one's
    ``end`` is the other's ``begin``.
    """

    topic: str
    partition: int
    begin: int
    end: int
    records: Sequence[LogRecord]
