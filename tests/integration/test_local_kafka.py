"""The local broker, for real: what is acknowledged stays, whatever happens to the process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.errors import KafkaDataInUse, KafkaDidNotStart
from deploy.local.kafka import Kafka

pytestmark = pytest.mark.integration

DEADLINE_S = 30.0


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Kafka]:
    """A broker that the test may kill. Its folder's name has all that breaks property files and class paths."""
    broker = Kafka(tmp_path / "dä ta, x")
    broker.start()
    yield broker
    broker.stop()


def create_topic(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])[topic].result(DEADLINE_S)


def code_of(error: KafkaError | None) -> int:
    return KafkaError.NO_ERROR if error is None else error.code()


def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    """Returns once every value is acknowledged."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            errors.append(error)

    for value in values:
        producer.produce(topic, value, key=value, on_delivery=delivered)
    assert producer.flush(DEADLINE_S) == 0
    assert errors == []


def consume(bootstrap: str, topic: str, group: str, count: int) -> list[bytes]:
    """What a consumer group gets until it has `count` values, committed."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    values: list[bytes] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(values) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            value = message.value()
            assert isinstance(value, bytes)
            values.append(value)
    consumer.commit(asynchronous=False)
    consumer.close()
    return sorted(values)


def test_produces_and_consumes(kafka: str) -> None:
    create_topic(kafka, "local-kafka-round-trip")
    produce(kafka, "local-kafka-round-trip", b"one", b"two")
    assert consume(kafka, "local-kafka-round-trip", "local-kafka", 2) == [b"one", b"two"]


def test_topics_are_never_made_by_a_client(kafka: str) -> None:
    producer = Producer({"bootstrap.servers": kafka, "message.timeout.ms": 3000})
    codes: list[int] = []
    producer.produce("no-such-topic", b"x", on_delivery=lambda error, _: codes.append(code_of(error)))
    producer.flush(DEADLINE_S)
    assert len(codes) == 1
    assert codes != [KafkaError.NO_ERROR]
    assert "no-such-topic" not in AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=DEADLINE_S).topics


def test_refuses_timestamps_more_than_an_hour_ahead(kafka: str) -> None:
    create_topic(kafka, "local-kafka-future")
    producer = Producer({"bootstrap.servers": kafka})
    codes: list[int] = []
    ahead = int(time.time() * 1000) + 2 * 3_600_000
    producer.produce(
        "local-kafka-future", b"x", timestamp=ahead, on_delivery=lambda error, _: codes.append(code_of(error))
    )
    producer.flush(DEADLINE_S)
    assert codes == [KafkaError.INVALID_TIMESTAMP]


def test_everything_acknowledged_is_there_after_kill_9(own_broker: Kafka) -> None:
    address = own_broker.bootstrap
    create_topic(address, "t")
    produce(address, "t", b"before-1", b"before-2")
    assert consume(address, "t", "first", 2) == [b"before-1", b"before-2"]
    produce(address, "t", b"before-3")

    own_broker.kill()
    assert own_broker.poll() == -signal.SIGKILL
    assert own_broker.pid is None
    own_broker.start()

    assert own_broker.bootstrap == address
    produce(address, "t", b"after")
    assert consume(address, "t", "second", 4) == [b"after", b"before-1", b"before-2", b"before-3"]
    assert consume(address, "t", "first", 2) == [b"after", b"before-3"]  # the group's offsets survived too


def test_stops_in_order_and_chooses_another_port_when_its_own_is_taken(own_broker: Kafka) -> None:
    address = own_broker.bootstrap
    create_topic(address, "t")
    produce(address, "t", b"kept")
    own_broker.stop()
    assert own_broker.poll() == 128 + signal.SIGTERM  # Java's own exit code for an orderly end

    host, port = address.split(":")
    with socket.create_server((host, int(port))):
        own_broker.start()
        assert own_broker.bootstrap != address
        assert consume(own_broker.bootstrap, "t", "g", 1) == [b"kept"]


def test_second_broker_on_the_same_data_is_refused(own_broker: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.kafka.HANDOVER_S", 0.0)
    address = own_broker.bootstrap
    with pytest.raises(KafkaDataInUse, match="another Kafka broker is using"):
        Kafka(own_broker.data_dir).start()
    own_broker.start()  # already running: nothing happens
    assert own_broker.bootstrap == address
    assert own_broker.pid is not None


def test_follows_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    """SIGKILL of the parent takes the broker along, and the next one starts at once with data and port."""
    program = (
        "import pathlib, time\nfrom deploy.local.kafka import Kafka\n"
        f"kafka = Kafka(pathlib.Path({str(tmp_path)!r}))\nkafka.start()\n"
        "print('up', kafka.pid, kafka.bootstrap, flush=True)\ntime.sleep(1000)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=root) as supervisor:
        assert supervisor.stdout is not None
        _, pid, address = next(line for line in supervisor.stdout if line.startswith("up ")).split()
        create_topic(address, "t")
        produce(address, "t", b"kept")
        supervisor.kill()
    broker = Kafka(tmp_path)
    broker.start()
    try:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
        assert broker.bootstrap == address
        assert consume(address, "t", "g", 1) == [b"kept"]
    finally:
        broker.stop()


def test_says_why_it_does_not_start(tmp_path: Path) -> None:
    """A data folder that Kafka refuses: the error has the log's path and its last words."""
    broker = Kafka(tmp_path)
    broker.start()
    broker.stop()
    meta = tmp_path / "kafka" / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=2"))
    with pytest.raises(KafkaDidNotStart) as caught:
        broker.start()
    assert str(tmp_path / "logs" / "kafka.log") in str(caught.value)
    assert "Stored node id 2" in caught.value.last_lines
    assert broker.pid is None


def test_says_so_when_it_takes_too_long(tmp_path: Path) -> None:
    broker = Kafka(tmp_path)
    with pytest.raises(KafkaDidNotStart, match="format tool took more than"):
        broker.start(deadline_s=0.2)
    broker.start()  # what was left unfinished is not in the way
    broker.stop()
    with pytest.raises(KafkaDidNotStart, match="did not answer"):
        broker.start(deadline_s=0.2)
    assert broker.pid is None
