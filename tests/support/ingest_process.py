"""A real ingest process: ``python -m tests.support.ingest_process KAFKA PORT WORKERS``, and the handle to drive one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.ports import free_port
from ingest.config import read_config
from ingest.server import serve
from ingest.settings import IngestSettings
from schemas.codec import decode
from schemas.records import Record
from schemas.topics import TOPICS
from tests.support.front_door import KEYS, Said

DEADLINE_S = 120.0
ANSWER_S = 60.0


def until(met: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Poll until ``met``; AssertionError naming ``what`` when it takes too long."""
    deadline = time.monotonic() + deadline_s
    while not met():
        assert time.monotonic() < deadline, f"{what} took more than {deadline_s:g} s"
        time.sleep(0.05)


def create_topics(kafka: str, partitions: int = 4) -> None:
    """Every topic of the product."""
    topics = [NewTopic(t.name, t.partitions or partitions, 1, config=t.settings()) for t in TOPICS]
    admin = AdminClient({"bootstrap.servers": kafka})
    for created in admin.create_topics(topics).values():
        created.result(30)


def read_topic(kafka: str, topic: str) -> list[tuple[Any, Record]]:
    """Every message of a topic, with its decoded record, partition by partition."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test-reader", "enable.auto.commit": False})
    found: list[tuple[Any, Record]] = []
    try:
        for partition in consumer.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions:
            start, end = ends_of(consumer, TopicPartition(topic, partition))
            consumer.assign([TopicPartition(topic, partition, start)])
            position = start
            while position < end:
                message = consumer.poll(DEADLINE_S)
                assert message is not None
                assert message.error() is None, message.error()
                found.append((message, decode(message.value())))
                position = message.offset() + 1
    finally:
        consumer.close()
    return found


def ends_of(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First and next offset; asked again while a broker that has just come back leads nothing yet."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return consumer.get_watermark_offsets(place, timeout=DEADLINE_S)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


class IngestProcess:
    """One ingest process on a port of its own. Its data folder lies beside its log."""

    def __init__(self, kafka: str, log_path: Path, workers: int = 1, ack_timeout_s: float = 30) -> None:
        self.port = free_port()
        with log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", __name__, kafka, str(self.port)),
                    *(str(log_path.with_suffix("")), str(workers), str(ack_timeout_s)),
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Said:
        """One request on a connection of its own. OSError or HTTPException when nobody answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        try:
            connection.request(method, url, body, headers or {})
            answer = connection.getresponse()
            return Said(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def answers(self) -> bool:
        """Whether it is alive."""
        with suppress(OSError, HTTPException):
            return self.ask("GET", "/healthz").status == 200
        return False

    def ready(self) -> bool:
        """Whether it can take events."""
        with suppress(OSError, HTTPException):
            return self.ask("GET", "/readyz").status == 200
        return False

    def missing(self) -> list[str]:
        """What it says is missing."""
        found: list[str] = json.loads(self.ask("GET", "/readyz").body)["missing"]
        return found

    def stop(self) -> float:
        """SIGTERM; how long it took to end, in seconds."""
        started = time.monotonic()
        self.process.terminate()
        self.process.wait(60)
        return time.monotonic() - started


if __name__ == "__main__":
    address, port, folder, workers, ack_timeout_s = sys.argv[1:]
    beside = Path(folder) / "ingest.yaml"
    settings = IngestSettings(address, int(port), Path(folder), KEYS, workers=int(workers))
    settings = replace(settings, ack_timeout_s=float(ack_timeout_s))
    serve(replace(settings, config=read_config(beside if beside.exists() else None)))
