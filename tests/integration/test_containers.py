"""The same road on the official images: a ClickHouse server and Apache Kafka in Docker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

from deploy.local.kafka_jars import VERSION
from deploy.local.ports import free_port
from tests.support.smoke import smoke

pytestmark = pytest.mark.docker

KAFKA_IMAGE = f"apache/kafka:{VERSION}"
CLICKHOUSE_IMAGE = "clickhouse/clickhouse-server:26.9"
PASSWORD = "secret"


@pytest.fixture
def kafka_container() -> Iterator[str]:
    """``host:port`` of a broker that tells its clients the address by which they reach it."""
    port = free_port()
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://localhost:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(port, port)
    for name, value in settings.items():
        container.with_env(name, value)
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(60))
    with container:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def clickhouse_container() -> Iterator[str]:
    """The URL of a server, with user and password."""
    container = DockerContainer(CLICKHOUSE_IMAGE).with_exposed_ports(8123).with_env("CLICKHOUSE_PASSWORD", PASSWORD)
    container.waiting_for(HttpWaitStrategy(8123, "/ping").for_status_code(200).with_startup_timeout(60))
    with container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(8123)
        yield f"http://default:{PASSWORD}@{host}:{port}"


def test_the_road_through_containers(tmp_path: Path, kafka_container: str, clickhouse_container: str) -> None:
    smoke(tmp_path, kafka_container, clickhouse_container)
