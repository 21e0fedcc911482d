"""What an operator may set of the front door, in one YAML file: ``ingest.yaml`` in the data folder, or named.

Each part is a section with defaults, defined beside the code that it governs. An unknown name is refused: a mistyped
one would silently do nothing.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ingest.access.config import AccessConfig
from ingest.conversion_config import PostbackConfig
from ingest.edge.config import EdgeConfig
from ingest.errors import ConfigInvalid
from ingest.idempotency import IdempotencyConfig
from ingest.links import LinksConfig
from ingest.privacy.config import PrivacyConfig
from ingest.spool.config import SpoolConfig
from ingest.trackers.config import SegmentConfig, SnowplowConfig


class IngestConfig(BaseModel):
    """The file. No file is the defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    access: AccessConfig = AccessConfig()

    links: LinksConfig = LinksConfig()
    idempotency: IdempotencyConfig = IdempotencyConfig()
    segment: SegmentConfig = SegmentConfig()
    snowplow: SnowplowConfig = SnowplowConfig()
    postbacks: PostbackConfig = PostbackConfig()
    spool: SpoolConfig = SpoolConfig()
    edge: EdgeConfig = EdgeConfig()
    privacy: PrivacyConfig = PrivacyConfig()


def read_config(path: Path | None) -> IngestConfig:
    """The file's settings; the defaults when ``path`` is None. ConfigInvalid names the file, the field and why."""
    if path is None:
        return IngestConfig()
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigInvalid(f"{path}: {error}") from None
    try:
        return IngestConfig.model_validate({} if content is None else content)
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        raise ConfigInvalid(f"{path}: {'; '.join(problems)}") from None
