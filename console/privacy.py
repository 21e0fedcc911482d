"""What is kept of events that a command sends, as the front door of the same installation would keep them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.config import IngestConfig
    from ingest.edge.visitor import Edge


def edge_in(data: Path) -> Edge:
    """The edge as ``DATA/ingest.yaml`` and ``DATA/privacy.json`` say. ConfigInvalid."""
    from ingest.edge.visitor import edge_of

    config = config_in(data)
    return edge_of(config.edge, config.privacy, data)


def config_in(data: Path) -> IngestConfig:
    """``DATA/ingest.yaml``, or the defaults where there is none. ConfigInvalid."""
    from ingest.config import read_config

    file = data / "ingest.yaml"
    return read_config(file if file.exists() else None)
