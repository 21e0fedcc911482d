"""What stands between Kafka and the agent: whole batches, and who gets which partitions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CorruptRecordException
from aiokafka.partitioner import murmur2
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from processors.runtime.batches import JOINED
from processors.runtime.fetch import drain

PLACE = TopicPartition("clicks", 2)


def kafka_batch(first: int, count: int) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for n in range(count):
        builder.append(n, timestamp=1_000 + n, key=b"k", value=b"v%d" % n, headers=[])
    raw = bytearray(builder.build())
    raw[:8] = first.to_bytes(8, "big")
    return bytes(raw)


def fetched(data: bytes, position: int) -> Any:
    state = SimpleNamespace(position=position, paused=False)
    state.consumed_to = lambda offset: setattr(state, "position", offset)
    assignment = SimpleNamespace(active=True, state_value=lambda tp: state)
    make_records: Any = PartitionRecords
    records = make_records(PLACE, MemoryRecords(data), [], position, None, None, True, 0)
    make_result: Any = FetchResult
    return make_result(PLACE, assignment=assignment, partition_records=records, backoff=0)


def test_batches_join_without_a_gap() -> None:
    result = fetched(kafka_batch(10, 5) + kafka_batch(15, 5) + kafka_batch(20, 5), 10)
    first, second, third = (drain(result, 8, True) for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is None
    assert (first.topic, first.partition, first.begin, first.end) == ("clicks", 2, 10, 20)
    assert [record.offset for record in first.records] == list(range(10, 20))
    assert (second.begin, second.end) == (20, 25)
    assert not result.has_more()


def test_a_position_in_the_middle_of_a_batch() -> None:
    batch = drain(fetched(kafka_batch(10, 5), 12), 100, True)
    assert batch is not None
    assert (batch.begin, batch.end, [record.offset for record in batch.records]) == (12, 15, [12, 13, 14])


def test_offsets_without_records_are_inside() -> None:
    batch = drain(fetched(kafka_batch(10, 2) + kafka_batch(40, 2), 10), 100, True)
    assert batch is not None
    assert (batch.begin, batch.end, [record.offset for record in batch.records]) == (10, 42, [10, 11, 40, 41])


def test_what_was_fetched_before_a_seek_is_stale() -> None:
    result = fetched(kafka_batch(10, 5), 10)
    result._assignment.state_value(PLACE).position = 3
    assert drain(result, 100, True) is None


def test_a_broken_checksum_is_not_read_over() -> None:
    data = bytearray(kafka_batch(10, 5))
    data[-2] ^= 1
    with pytest.raises(CorruptRecordException):
        drain(fetched(bytes(data), 10), 100, True)


@pytest.mark.parametrize("workers", range(1, 14))
@pytest.mark.parametrize("partitions", [1, 4, 8, 12])
def test_both_topics_of_a_partition_go_to_one_worker(workers: int, partitions: int) -> None:
    cluster: Any = SimpleNamespace(partitions_for_topic=lambda topic: set(range(partitions)))
    members = {f"w{n}": RangePartitionAssignor.metadata(set(JOINED)) for n in range(workers)}
    owner: dict[tuple[str, int], str] = {}
    for member, assignment in RangePartitionAssignor.assign(cluster, members).items():
        for topic, numbers in assignment.assignment:
            owner.update({(topic, number): member for number in numbers})
    assert len(owner) == 2 * partitions
    assert all(owner[JOINED[0], number] == owner[JOINED[1], number] for number in range(partitions))
    loads = [sum(1 for of in owner.values() if of == member) for member in members]
    assert max(loads) - min(loads) <= 2


def test_murmur2_is_kafkas() -> None:
    """Kafka's own test vectors (UtilsTest.testMurmur2)."""
    assert murmur2(b"21") & 0xFFFFFFFF == -973932308 & 0xFFFFFFFF
    assert murmur2(b"foobar") & 0xFFFFFFFF == -790332482 & 0xFFFFFFFF
