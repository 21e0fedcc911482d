"""Installations for the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running import Running


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`accredit up` in a folder of its own."""
    installation = Running(tmp_path_factory.mktemp("up") / "data", "--partitions", "4")
    installation.start()
    yield installation
    assert installation.process is not None
    if installation.process.poll() is None:
        installation.stop()
