"""The attribution worker as a real process on a real broker: what it credits, and what it survives."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.partitioner import DefaultPartitioner

from bench.workload import catalog_text, events
from deploy.local.kafka import Kafka
from schemas.codec import encode
from schemas.ids import session_key
from schemas.records import Click, Conversion
from schemas.times import parse_time
from schemas.topics import CLICKS, CONVERSIONS
from tests.support.worker_process import PATIENCE_S, Log, WorkerProcess, until

pytestmark = pytest.mark.integration

PARTITIONS = 4
SESSION = "018f3c1e-0000-7000-8000-000000000001"
BASE = parse_time("2025-11-06T14:00:00Z")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """A broker of the test's own: the topics have fixed names."""
    broker = Kafka(tmp_path / "kafka")
    broker.start()
    found = Log(broker.bootstrap, PARTITIONS)
    found.create()
    yield found
    broker.stop()


@pytest.fixture
def workers(log: Log, tmp_path: Path) -> Iterator[list[WorkerProcess]]:
    """Three, not started."""
    three = [WorkerProcess(log.kafka, tmp_path, f"w{number}") for number in range(3)]
    yield three
    for worker in three:
        worker.kill()


def click(name: str, partner: str, at: int) -> Click:
    return Click(name, BASE + at, BASE + at + 2, "click", partner, "o1", None, None, SESSION)


def sale(order: str, at: int) -> Conversion:
    return Conversion(
        order, BASE + at, BASE + at + 2, "shop", "sale", order, None, None, None, "100", None, None, None, None, SESSION
    )


def winner(log: Log, order: str) -> str | None:
    return log.credits()[order, SESSION, "100"].partner_id


def test_it_credits_corrects_and_refuses(log: Log, workers: list[WorkerProcess]) -> None:
    """Without a catalog it waits; a late click corrects; a poisoned record is a dead letter and costs nothing else."""
    worker = workers[0]
    log.send([click("c1", "p1", 0), sale("A-1", 10_000)])  # p1: default group
    worker.start()
    until(lambda: "first catalog" in worker.get("/readyz")[1], "the worker to say what it waits for")
    assert worker.get("/healthz")[0] == 200
    log.apply(catalog_text())
    until(lambda: log.credits() and winner(log, "A-1") == "p1", "the first credit")
    until(worker.ready, "the worker to be ready")

    key = session_key(SESSION)
    log.produce(CLICKS, key, b"no frame", BASE)
    log.produce(CLICKS, key, b"\0\0\0\0\1\x02", BASE)  # a frame, and then nothing that is a click
    log.produce(CONVERSIONS, b"short", encode(sale("A-2", 0)), BASE)
    log.produce(CONVERSIONS, key, None, BASE)
    log.send([click("c0", "p0", 5_000)])  # p0: preferred, and late
    until(lambda: winner(log, "A-1") == "p0", "the correction")
    until(log.caught_up, "all offsets to be committed")
    assert {letter.reason for letter in log.dead_letters()} == {"BAD_FRAME", "UNDECODABLE", "BAD_KEY"}
    first = next(letter for letter in log.dead_letters() if letter.original == b"no frame")
    assert (first.topic, first.key, first.stage) == (CLICKS, key, "attribution")
    assert first.offset is not None
    assert log.credits() == log.expected()
    assert worker.metric("accredit_worker_lag_records") == 0
    assert worker.stop() == 0


def test_killed_and_robbed_of_its_state_it_ends_up_the_same(log: Log, workers: list[WorkerProcess]) -> None:
    worker = workers[0]
    log.apply(catalog_text())
    records = [record for _, record in events(6_000)]
    log.send(records[:3_000])
    worker.start()
    until(lambda: worker.metric("accredit_worker_records_total") > 0, "the worker to begin")
    worker.kill()
    log.send(records[3_000:])
    worker.start()
    until(log.caught_up, "all offsets to be committed")
    worker.kill()

    shutil.rmtree(worker.state)
    # One of the sessions gets a click that only a complete store can place.
    sold = next(record for record in records if isinstance(record, Conversion))
    late = Click("late", sold.occurred_at - 1, sold.received_at, "click", "p0", "o0", None, None, sold.session_id)
    log.send([late])
    worker.start()
    until(log.caught_up, "all offsets to be committed again")
    until(worker.ready, "the worker to be ready")
    assert worker.metric("accredit_worker_silent_records_total") >= len(records)
    assert log.credits() == log.expected()
    assert log.credits()[sold.conversion_id, sold.session_id, sold.amount].click_id == "late"
    assert worker.stop() == 0


def test_workers_join_and_die_and_partitions_stay_together(log: Log, workers: list[WorkerProcess]) -> None:
    log.apply(catalog_text())
    records = [record for _, record in events(9_000, seed=2)]

    def together(members: int) -> bool:
        owners = log.owners()
        return len(owners) == members and all(
            {number for topic, number in held if topic == CLICKS}
            == {number for topic, number in held if topic == CONVERSIONS}
            for held in owners.values()
        )

    for count, worker in enumerate(workers, 1):
        worker.start()
        log.send(records[(count - 1) * 2_000 : count * 2_000])
        until(lambda count=count: together(count), f"{count} workers with whole partitions")
    log.send(records[6_000:8_000])
    workers[0].kill()
    until(lambda: together(2), "the others to have all partitions")
    log.send(records[8_000:])
    assert workers[1].stop() == 0
    until(lambda: together(1), "the last to have all partitions")
    until(log.caught_up, "all offsets to be committed")
    assert log.credits() == log.expected()
    assert workers[2].stop() == 0


def test_a_missing_topic_is_named(tmp_path: Path) -> None:
    broker = Kafka(tmp_path / "kafka")
    broker.start()
    log = Log(broker.bootstrap, 1)
    log.create(without=["credits"])
    worker = WorkerProcess(broker.bootstrap, tmp_path, "w")
    worker.start()
    assert worker.process is not None
    assert worker.process.wait(PATIENCE_S) == 1
    assert "STOPPED TopicsUnfit" in worker.log.read_text()
    assert "has no topic credits" in worker.log.read_text()
    broker.stop()


def test_every_client_finds_the_same_partition_for_a_key(log: Log) -> None:
    """librdkafka's ``murmur2_random`` is aiokafka's and Java's partitioner."""
    keys = [n.to_bytes(16, "big") for n in range(1_000)]
    for key in keys:
        log.produce(CLICKS, key, key, BASE)
    log.flush()
    numbers = list(range(PARTITIONS))
    choose = DefaultPartitioner()
    expected = {number: {key for key in keys if choose(key, numbers, numbers) == number} for number in numbers}
    assert {number: log.keys_of(CLICKS, number) for number in numbers} == expected
