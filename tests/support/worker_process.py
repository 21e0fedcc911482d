"""Workers as real processes of a test, and what they wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.ports import free_port
from processors.core import CompiledLog, SessionTouches, Touch, decide_session
from schemas.catalog import CatalogLog
from schemas.codec import decode, encode
from schemas.ids import session_key, session_text
from schemas.records import CatalogVersion, Click, Conversion, Credit, DeadLetter, Record
from schemas.topics import CATALOG, CLICKS, CONVERSIONS, CREDITS, DEAD_LETTERS, PARTITIONER, TOPICS
from tests.support.ingest_process import ends_of

GROUP = "accredit-attribution"
PATIENCE_S = 240.0
START = """
import json, sys
from pathlib import Path
from processors.errors import WorkerStopped
from processors.settings import WorkerSettings
from processors.worker import run

told = json.loads(sys.argv[1])
try:
    run(WorkerSettings(**{**told, "state_dir": Path(told["state_dir"])}))
except WorkerStopped as stopped:
    sys.exit(f"STOPPED {type(stopped).__name__}: {stopped}")
"""


def until(done: Any, what: str, patience_s: float = PATIENCE_S) -> Any:
    """Poll ``done`` until it is true; returns what it gave. AssertionError names what was waited for."""
    deadline = time.monotonic() + patience_s
    while not (found := done()):
        assert time.monotonic() < deadline, f"waited {patience_s:g} s for {what}"
        time.sleep(0.1)
    return found


class WorkerProcess:
    """One worker with a state folder of its own."""

    def __init__(
        self, kafka: str, folder: Path, name: str, *, static: bool = False, state: Path | None = None, **settings: Any
    ) -> None:
        """``settings`` as in WorkerSettings."""
        self.kafka = kafka
        self.state = state or folder / f"{name}-state"
        self.settings = settings
        self.log = folder / f"{name}.log"
        self.port = free_port()
        self.instance = name if static else None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        told = {
            "kafka": self.kafka,
            "state_dir": str(self.state),
            "http_port": self.port,
            "group_instance_id": self.instance,
            "session_timeout_s": 6.0,
            **self.settings,
        }
        argv = [sys.executable, "-c", START, json.dumps(told)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of its own port; status 0 while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-4_000:]
        return self.get("/readyz")[0] == 200

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = self.get("/metrics")[1].splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL; nothing if it does not run."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE_S)


class Log:
    """The topics of one broker, from outside."""

    def __init__(self, kafka: str, partitions: int) -> None:
        self.kafka = kafka
        self.partitions = partitions
        self.admin = AdminClient({"bootstrap.servers": kafka})
        self._producer = Producer({"bootstrap.servers": kafka, "partitioner": PARTITIONER, "linger.ms": 5})
        self.sent: list[Click | Conversion] = []
        self.catalogs: list[CatalogVersion] = []

    def create(self, without: Iterable[str] = ()) -> None:
        """The product's topics, but those."""
        new = [
            NewTopic(topic.name, topic.partitions or self.partitions, 1, config=topic.settings())
            for topic in TOPICS
            if topic.name not in without
        ]
        for future in self.admin.create_topics(new).values():
            future.result(30)

    def produce(self, topic: str, key: bytes | None, value: bytes | None, at: int) -> None:
        self._producer.produce(topic, value, key=key, timestamp=at)
        self._producer.poll(0)

    def send(self, records: Iterable[Click | Conversion]) -> None:
        """As ingest does; returns when Kafka has them."""
        for record in records:
            self.sent.append(record)
            topic = CLICKS if isinstance(record, Click) else CONVERSIONS
            self.produce(topic, session_key(record.session_id), encode(record), record.occurred_at)
        self.flush()

    def flush(self) -> None:
        assert self._producer.flush(60) == 0

    def apply(self, document: str) -> None:
        """A version of the catalog."""
        version = CatalogVersion(len(self.catalogs) + 1, 0, 0, "test", "", document)
        self.catalogs.append(version)
        self.produce(CATALOG, None, encode(version), 0)
        self.flush()

    def read(self, topic: str) -> list[Record]:
        """Everything in a topic, decoded."""
        return [decode(value) for _, value in self.records(topic)]

    def records(self, topic: str) -> list[tuple[bytes, bytes]]:
        """Key and value of everything in a topic."""
        return [record for number in self.of(topic) for record in self.records_of(topic, number)]

    def records_of(self, topic: str, number: int) -> list[tuple[bytes, bytes]]:
        """Key and value of everything in one partition."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "reader", "enable.auto.commit": False})
        _, end = ends_of(consumer, TopicPartition(topic, number))
        consumer.assign([TopicPartition(topic, number, 0)])
        found: list[tuple[bytes, bytes]] = []
        while len(found) < end:
            for message in consumer.consume(10_000, timeout=0.2):
                assert message.error() is None, message.error()
                found.append((message.key() or b"", message.value() or b""))
        consumer.close()
        return found

    def keys_of(self, topic: str, number: int) -> set[bytes]:
        return {key for key, _ in self.records_of(topic, number)}

    def of(self, topic: str) -> list[int]:
        return list(self.admin.list_topics(topic, timeout=30).topics[topic].partitions)

    def credits(self) -> dict[tuple[str, str, str | None], Credit]:
        """Of each claim the greatest version."""
        found: dict[tuple[str, str, str | None], Credit] = {}
        for credit in self.read(CREDITS):
            assert isinstance(credit, Credit)
            claim = (credit.conversion_id, credit.session_id, credit.amount)
            if claim not in found or found[claim].version < credit.version:
                found[claim] = credit
        return found

    def dead_letters(self) -> list[DeadLetter]:
        return [letter for letter in self.read(DEAD_LETTERS) if isinstance(letter, DeadLetter)]

    def expected(self) -> dict[tuple[str, str, str | None], Credit]:
        """The core on everything that was sent, offline."""
        catalogs = CompiledLog(CatalogLog.of(self.catalogs))
        clicks: dict[str, SessionTouches] = {}
        claims: dict[str, dict[bytes, Conversion]] = {}
        for record in self.sent:
            if isinstance(record, Click):
                clicks.setdefault(record.session_id, SessionTouches()).add(Touch(*record[:8]))
            else:
                claims.setdefault(record.session_id, {})[encode(record)] = record
        found = {}
        for session, conversions in claims.items():
            touches = clicks.get(session, SessionTouches())
            decision = decide_session(
                session_text(session_key(session)), list(conversions.values()), touches, catalogs, "live"
            )
            found.update({(one.conversion_id, one.session_id, one.amount): one for one in decision.credits})
        return found

    def differing(self) -> list[tuple[Credit | None, Credit | None]]:
        """Up to three credits that are not as expected, each beside what is: short enough to be shown."""
        found, expected = self.credits(), self.expected()
        pairs = ((found.get(claim), expected.get(claim)) for claim in sorted(found.keys() | expected.keys(), key=str))
        return [pair for pair in pairs if pair[0] != pair[1]][:3]

    def committed(self) -> dict[tuple[str, int], int]:
        """The group's offsets; negative where there is none. Nothing before the broker has found its coordinator.

        A consumer of the group is asked, which does not join it: librdkafka's admin client crashes the process when
        the group has no coordinator yet (2.16).
        """
        places = [TopicPartition(topic, number) for topic in (CLICKS, CONVERSIONS) for number in range(self.partitions)]
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": GROUP, "enable.auto.commit": False})
        try:
            return {(one.topic, one.partition): one.offset for one in consumer.committed(places, timeout=10)}
        except KafkaException:
            return {}
        finally:
            consumer.close()

    def caught_up(self) -> bool:
        """Whether everything in both topics is committed."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "reader"})
        committed = self.committed()
        done = bool(committed) and all(
            max(offset, 0) == ends_of(consumer, TopicPartition(*place))[1] for place, offset in committed.items()
        )
        consumer.close()
        return done

    def owners(self) -> dict[str, set[tuple[str, int]]]:
        """By member of the group: its topics and partitions. Empty while it rebalances."""
        [answer] = self.admin.describe_consumer_groups([GROUP]).values()
        try:
            group = answer.result(30)
        except KafkaException:
            return {}  # the broker has yet to find out who coordinates the group
        if group.state.name != "STABLE":
            return {}
        return {
            member.member_id: {(one.topic, one.partition) for one in member.assignment.topic_partitions}
            for member in group.members
        }
