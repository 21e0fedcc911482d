"""The section ``spool`` of ingest.yaml."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

MEBIBYTE = 1 << 20


class SpoolConfig(BaseModel):
    """Where events wait while Kafka does not take them, and how many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path | None = None
    """A folder on a local disk; DATA/spool without it."""
    limit_mb: int = Field(1_024, ge=1)
    """MiB that one process may keep there. Beyond it senders get 503, and visitors go on uncounted."""
    segment_mb: int = Field(8, ge=1)
    """MiB of one file. A file is deleted when all of it is in Kafka; after a crash the oldest may be sent again."""
    slow_ms: int = Field(300, ge=10)
    """An event that Kafka has not acknowledged by then goes to the spool, and those after it."""

    @property
    def limit_bytes(self) -> int:
        return self.limit_mb * MEBIBYTE

    @property
    def segment_bytes(self) -> int:
        return self.segment_mb * MEBIBYTE
