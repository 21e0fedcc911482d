"""The real services, started once per run by the tests themselves."""

import time
from collections.abc import Iterator

import pytest

from deploy.local.kafka import Kafka
from tests.support.clickhouse_server import ClickHouseServer, ask


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only tests that say that they need services may open sockets."""
    for item in items:
        if item.get_closest_marker("integration") is not None:
            item.add_marker(pytest.mark.enable_socket)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real broker (`127.0.0.1:port`), shared by the run: name topics and groups of your own.

    A test that kills its broker starts one of its own.
    """
    broker = Kafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker.bootstrap
    broker.stop()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL (`http://127.0.0.1:port`) of a real local ClickHouse, shared by the run: name databases of your own.

    A test that kills its server starts one of its own (`ClickHouseServer`).
    """
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def database(clickhouse: str) -> Iterator[str]:
    """A database of the test's own."""
    name = f"t{time.monotonic_ns()}"
    assert ask(clickhouse, f"CREATE DATABASE {name}").status == 200
    yield name
    ask(clickhouse, f"DROP DATABASE {name}")
