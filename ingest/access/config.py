"""The section ``access`` of ingest.yaml."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

FILE = "access.json"


class RateLimit(BaseModel):
    """A token bucket: ``burst`` requests at once, ``per_second`` of them for as long as one likes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_second: float = Field(gt=0)
    burst: int = Field(ge=1)


class AccessConfig(BaseModel):
    """Who has to say who they are, whose word about addresses counts, and how much one may ask."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    production: bool = False
    """True: nothing without a key, no postback without its advertiser's token, signature or address."""
    file: Path | None = None
    """Where keys and postback secrets are. None: ``access.json`` in the data folder."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Peers whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are believed."""
    per_key: RateLimit | None = RateLimit(per_second=1_000, burst=5_000)
    """Requests of one key, per worker process; null for no limit."""
    per_address: RateLimit | None = RateLimit(per_second=1_000, burst=5_000)
    """Requests of one address (of IPv6: of a /64), per worker process. This machine's own addresses have no limit."""
    signature_window_s: int = Field(default=300, ge=1, le=86_400)
    """How far a signed postback's timestamp may be from our clock."""

    def path(self, data_dir: Path) -> Path:
        """The file of keys."""
        return self.file or data_dir / FILE
