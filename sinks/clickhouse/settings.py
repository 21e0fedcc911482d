"""What the sink is told: addresses, its group, its policies. Built at the edge; nothing here reads the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Compression = Literal["none", "lz4", "zstd"]


@dataclass(frozen=True, slots=True)
class FlushPolicy:
    """When what was read is inserted: at so many rows or bytes, or when the oldest waits so long.

    At most three times ``bytes`` are held: a batch that fills, a batch that is inserted, and its copy as an Avro
    container. ``seconds`` is most of the delay from a credit to its row.
    """

    rows: int = 100_000
    bytes: int = 32 * 1024 * 1024
    seconds: float = 0.5

    def due(self, rows: int, size: int, age_s: float) -> bool:
        """Whether a batch of so many rows and bytes, begun so long ago, is to be inserted now."""
        return rows > 0 and (self.full(rows, size) or age_s >= self.seconds)

    def full(self, rows: int, size: int) -> bool:
        """Whether a batch must not grow further."""
        return rows >= self.rows or size >= self.bytes


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Pauses between attempts while ClickHouse or Kafka is away. There is no last attempt: the log waits."""

    first_s: float = 0.1
    factor: float = 2.0
    longest_s: float = 5.0

    def pause_s(self, attempt: int) -> float:
        """Seconds to wait after the attempt of this number, from 0."""
        return min(self.longest_s, self.first_s * self.factor ** min(attempt, 30))


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """Settings of one sink process. ``clickhouse_url`` is ``http[s]://[user[:password]@]host:port``.

    With ``instance_id`` (static membership) a restart within ``session_timeout_s`` moves no partition and waits for
    nobody; two processes must not share one. ``compression`` is of the way to ClickHouse: on one machine none is
    fastest.
    """

    kafka: str
    clickhouse_url: str
    database: str = "accredit"
    group_id: str = "accredit-clickhouse"
    instance_id: str | None = None
    http_host: str = "127.0.0.1"
    http_port: int = 0
    compression: Compression = "none"
    flush: FlushPolicy = field(default_factory=FlushPolicy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    session_timeout_s: float = 10.0
    stop_within_s: float = 8.0
