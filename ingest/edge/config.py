"""The ``edge`` section of ingest.yaml: what is looked up about a visitor, and what is flagged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class Flood(BaseModel):
    """Touches of one source within ``window_s``: more than ``flag_above`` are flagged, more than ``invalid_above`` (or
    never, when null) are invalid from there on. What came before stays as it was.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window_s: Seconds = 60.0
    flag_above: Count
    invalid_above: Count | None


class EdgeConfig(BaseModel):
    """Defaults are cautious: what may be a person is flagged and counts, what cannot be one is invalid."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    country_file: Path | None = None
    """A MaxMind database (GeoLite2-Country, -City or alike); read again when it is replaced. None: iptocc's table."""
    datacenters: Literal["invalid", "flag", "off"] = "invalid"
    """What a touch from a data centre's network is: invalid traffic, only flagged, or not looked for."""
    datacenters_file: Path | None = None
    """Networks in place of those that come with Accredit: one CIDR a line, ``#`` comments. Read again when replaced."""
    double_click_s: Seconds = 10.0
    """A touch of the same session on the same offer and partner within so many seconds is flagged ``double_click``."""
    session_flood: Flood = Flood(flag_above=30, invalid_above=300)
    address_flood: Flood = Flood(flag_above=300, invalid_above=None)
    """Per public address. No limit by default makes touches invalid: thousands may share a carrier's address."""
    tracked: Annotated[int, Field(ge=1_000, le=10_000_000)] = 100_000
    """Sources remembered of each kind, for as long as the window; the oldest go first. About 200 bytes each."""
    too_fast_s: Annotated[float, Field(ge=0)] = 2.0
    """A conversion sooner than this after its click is flagged ``too_fast`` for review."""
