"""What an operator says of trackers: whose events they send, and which of them are conversions."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from ingest.trackers.reading import Paths


class SegmentConfig(BaseModel):
    """Section ``segment`` of ingest.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    write_keys: Mapping[str, str] = Field(default_factory=dict)
    """A browser's write key → the advertiser whose conversions it may report."""
    events: Mapping[str, str] = Field(default_factory=lambda: {"Order Completed": "sale"})
    """Event name → goal."""
    fields: Paths = Field(default_factory=dict)
    """Field of a conversion → its paths in a call, in place of the default ones."""


class SnowplowConfig(BaseModel):
    """Section ``snowplow`` of ingest.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    apps: Mapping[str, str] = Field(default_factory=dict)
    """App id → the advertiser whose conversions its events are."""
    transaction_goal: str = "sale"
    """What the e-commerce plugins' transactions and ``e=tr`` are."""
    structured: Mapping[str, str] = Field(default_factory=dict)
    """``category/action`` → goal; its label is the order id, its value the amount, unless ``fields`` says else."""
    self_describing: Mapping[str, str] = Field(default_factory=dict)
    """``vendor/name`` → goal."""
    fields: Paths = Field(default_factory=dict)
    """Field of a conversion → its paths, in place of the default ones: ``event.…`` the tracker protocol's parameters,
    ``data.…`` what a self-describing event or its transaction says."""
