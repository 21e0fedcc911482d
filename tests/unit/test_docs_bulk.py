"""What docs/bulk.md shows can be used as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ingest.config import IngestConfig
from ingest.loading.mapping import ColumnMapping

PAGE = (Path(__file__).parents[2] / "docs" / "bulk.md").read_text()
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("content", [block for block in BLOCKS if "columns" not in block])
def test_sections_of_the_configuration(content: object) -> None:
    IngestConfig.model_validate(content)


@pytest.mark.parametrize("content", [block for block in BLOCKS if "columns" in block])
def test_mappings(content: object) -> None:
    ColumnMapping.model_validate(content)


def test_there_are_some() -> None:
    assert len(BLOCKS) == 3
