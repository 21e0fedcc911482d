"""The in-memory target keeps the contract that ClickHouse keeps (tests/integration/test_sink_clickhouse.py)."""

from collections.abc import Callable

import pytest

from tests.support.sink_contract import MemoryTarget, TargetContract


class TestMemoryTarget(TargetContract):
    @pytest.fixture
    def target(self) -> MemoryTarget:
        return MemoryTarget()

    @pytest.fixture
    def offsets(self, target: MemoryTarget) -> Callable[[], list[int]]:
        return target.offsets
