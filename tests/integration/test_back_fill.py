"""Last year's events stay: a record's time is event time, and Kafka deletes by it where retention is finite."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import NewTopic

from deploy.local import kafka
from deploy.local.kafka_config import server_properties
from schemas.times import DAY, parse_time
from schemas.topics import CLICKS, TOPICS
from tests.support.worker_process import Log, until

pytestmark = pytest.mark.integration

LAST_YEAR = parse_time("2025-01-01T00:00:00Z")
FINITE = "a-week-only"
OFTEN = "log.retention.check.interval.ms=200\nlog.initial.task.delay.ms=100\n"


def test_back_filled_events_are_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "server_properties", lambda *ports: server_properties(*ports) + OFTEN)
    broker = kafka.Kafka(tmp_path / "kafka")
    broker.start()
    try:
        log = Log(broker.bootstrap, 1)
        log.create()
        week = {"retention.ms": str(7 * DAY), "segment.ms": "100"}
        log.admin.create_topics([NewTopic(FINITE, 1, 1, config=week)])[FINITE].result(30)
        names = [topic.name for topic in TOPICS if topic.name != CLICKS]
        for at in range(3):
            for topic in (FINITE, CLICKS, *names):
                log.produce(topic, b"key", b"value", LAST_YEAR + at)
        log.flush()
        reader = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "reader"})

        def low(topic: str) -> int:
            return reader.get_watermark_offsets(TopicPartition(topic, 0))[0]

        until(lambda: low(FINITE) == 3, "Kafka to delete what a finite retention lets it delete")
        assert {name: low(name) for name in (CLICKS, *names)} == dict.fromkeys((CLICKS, *names), 0)
        reader.close()
    finally:
        broker.stop()
