"""The settings of an ingest process. The console builds them; nothing here reads the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ingest.config import IngestConfig
from schemas.ids import ClickIdKeys

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """Everything one ingest process and its workers need to know. It is pickled into each worker process."""

    kafka: str
    """Bootstrap servers, ``host:port[,host:port]``."""
    port: int
    data_dir: Path
    keys: ClickIdKeys
    host: str = "127.0.0.1"
    workers: int = 1
    """Processes that accept on the one port. Each follows the catalog and has its own producer."""

    config: IngestConfig = field(default_factory=IngestConfig)
    """What the operator's file says."""

    ack_timeout_s: float = 30.0
    """How long a sender waits for Kafka, where the spool cannot take its event either, before it gets a 503."""
    linger_ms: float = 15.0
    """How long a visit waits for company at most, when there are many: what Kafka costs is requests, not messages."""
    queue_messages: int = 200_000
    queue_bytes: int = 64 * MEBIBYTE
    retry_after_s: int = 5
    """What ``Retry-After`` says with a 503."""

    body_limit: int = 10 * MEBIBYTE
    """Bytes of a request's body as they come over the wire."""
    decoded_limit: int = 64 * MEBIBYTE
    """Bytes of a body after gzip or zstd."""
    events_limit: int = 100_000
    """Events in one request."""
    body_timeout_s: float = 30.0
    stop_timeout_s: int = 4
    """How long requests in flight may take to finish after SIGTERM."""
