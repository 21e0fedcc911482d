"""`accredit up` on a Kafka and a ClickHouse that it did not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from tests.support.clickhouse_server import ClickHouseServer
from tests.support.smoke import smoke

pytestmark = pytest.mark.e2e


def test_the_road_through_services_of_the_users(tmp_path: Path) -> None:
    broker, server = Kafka(tmp_path / "kafka"), ClickHouseServer(tmp_path / "clickhouse")
    broker.start()
    server.start()
    try:
        smoke(tmp_path, broker.bootstrap, server.url)
    finally:
        server.stop()
        broker.stop()
