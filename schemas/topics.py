"""The topics, from which they are created (DESIGN 3). Nothing creates a topic by producing to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CLICKS = "clicks"
CONVERSIONS = "conversions"
ADJUSTMENTS = "adjustments"
CREDITS = "credits"
SETTLEMENTS = "settlements"
DEAD_LETTERS = "dead-letters"
CATALOG = "catalog"

PARTITIONER = "murmur2_random"
DEFAULT_PARTITIONS = 8


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: what keys it, how many partitions (None: as many as the installation chose), its settings."""

    name: str
    key: str
    schema: str
    partitions: int | None = None
    config: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        """Topic-level settings for Kafka. Times are event time, so no finite retention may delete by them."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "message.timestamp.type": "CreateTime",
            **self.config,
        }


TOPICS: tuple[Topic, ...] = (
    Topic(CLICKS, "16 session bytes", "click"),
    Topic(CONVERSIONS, "16 session bytes", "conversion"),
    Topic(ADJUSTMENTS, "conversion_id", "adjustment"),
    Topic(CREDITS, "conversion_id", "credit"),
    Topic(SETTLEMENTS, "conversion_id", "settlement"),
    Topic(DEAD_LETTERS, "dead_letter_id", "dead_letter", config={"max.message.bytes": "16777216"}),
    Topic(CATALOG, "none", "catalog_version", partitions=1, config={"max.message.bytes": "33554432"}),
)
