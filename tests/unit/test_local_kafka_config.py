from pathlib import Path

import pytest

from deploy.local.errors import KafkaDidNotStart, KafkaNotRunning
from deploy.local.kafka import Kafka
from deploy.local.kafka_config import java_command, new_cluster_id, server_properties


def properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_broker_listens_on_the_loopback_only() -> None:
    settings = properties(server_properties(20_001, 20_002))
    for name in ("listeners", "advertised.listeners"):
        assert settings[name] == "PLAINTEXT://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002"
    assert settings["controller.quorum.bootstrap.servers"] == "127.0.0.1:20002"


def test_broker_never_makes_topics_and_never_forgets_offsets() -> None:
    settings = properties(server_properties(20_001, 20_002))
    assert settings["auto.create.topics.enable"] == "false"
    assert settings["offsets.retention.minutes"] == str(2**31 - 1)
    assert settings["offsets.topic.replication.factor"] == "1"
    assert settings["transaction.state.log.min.isr"] == "1"
    assert settings["log.cleaner.dedupe.buffer.size"] == "16777216"
    assert settings["group.initial.rebalance.delay.ms"] == "0"


def test_broker_keeps_kafkas_bound_on_future_timestamps() -> None:
    # Ingest quarantines what is too far ahead; the broker's default of one hour is the second line (DESIGN §3).
    assert not any("timestamp" in name for name in properties(server_properties(20_001, 20_002)))


def test_java_has_the_measured_flags(tmp_path: Path) -> None:
    command = java_command(Path("/java"), [Path("/a.jar"), Path("/b.jar")], tmp_path / "kafka", tmp_path / "logs", 512)
    assert command[:5] == ["/java", "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    assert "-XX:-UsePerfData" in command
    assert f"-Djava.io.tmpdir={tmp_path / 'kafka' / 'tmp'}" in command
    assert command[-2:] == ["-cp", "/a.jar:/b.jar"]


def test_initial_heap_is_never_above_the_greatest() -> None:
    command = java_command(Path("/java"), [], Path("/kafka"), Path("/logs"), 128)
    assert command[1:3] == ["-Xms128m", "-Xmx128m"]


def test_cluster_ids_are_what_the_format_tool_takes() -> None:
    ids = {new_cluster_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(len(text) == 22 and not text.startswith("-") for text in ids)


def test_broker_not_started_has_no_address(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path)
    assert kafka.pid is None
    assert kafka.poll() is None
    kafka.stop()
    with pytest.raises(KafkaNotRunning):
        _ = kafka.bootstrap


def test_did_not_start_shows_the_logs_end_and_its_path() -> None:
    error = KafkaDidNotStart("it ended with exit code 1", Path("/d/logs/kafka.log"), "ERROR one\nERROR two")
    assert str(error).splitlines() == [
        "Apache Kafka did not start: it ended with exit code 1. The end of /d/logs/kafka.log:",
        "    ERROR one",
        "    ERROR two",
    ]
