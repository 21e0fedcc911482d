"""The kept catalog: what a front door serves by when Kafka is away at its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.catalog_file import keep_versions, kept_versions
from ingest.catalog_follow import CatalogFollower
from ingest.errors import NoCatalog
from schemas.records import CatalogVersion
from tests.support.front_door import CATALOG

VERSIONS = [
    CatalogVersion(version=7, effective_at=1_000, written_at=900, author="a", digest="d", document=CATALOG),
    CatalogVersion(version=8, effective_at=2_000, written_at=1_900, author="a", digest="e", document=CATALOG),
]


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "data" / "catalog.kept"
    assert kept_versions(path) == []
    keep_versions(path, VERSIONS)
    assert kept_versions(path) == VERSIONS
    keep_versions(path, VERSIONS[1:])
    assert kept_versions(path) == VERSIONS[1:]
    assert [file.name for file in path.parent.iterdir()] == ["catalog.kept"]


@pytest.mark.parametrize("damage", [b"", b"\0" * 20, b"\xff" * 20])
def test_a_damaged_file_is_as_none(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "catalog.kept"
    keep_versions(path, VERSIONS)
    path.write_bytes(path.read_bytes()[:-5] + damage)
    assert kept_versions(path) == []


def test_a_folder_that_cannot_be_written_costs_nothing_now(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in its place")
    keep_versions(tmp_path / "data" / "catalog.kept", VERSIONS)


def test_follower_serves_by_it_before_the_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalog.kept"
    keep_versions(path, VERSIONS)
    monkeypatch.setattr(CatalogFollower, "_follow", lambda self: None)
    follower = CatalogFollower("", path)
    with pytest.raises(NoCatalog):
        follower.at(0)
    follower.start()
    assert [follower.at(now).version for now in (0, 1_999, 2_000)] == [7, 7, 8]
    assert not follower.at_end
