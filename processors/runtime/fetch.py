"""Whole batches out of aiokafka's fetcher, without a Python object or call per record beyond its Cython record.

aiokafka hands out records one by one through a generator that builds a ConsumerRecord for each; that costs more than
all the rest of the hot path. The fetcher keeps what it fetched as ``FetchResult`` per partition; this takes Kafka's own
batches out of it, decoded in one go, and moves the position exactly as ``FetchResult.getall`` does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Set
from typing import Any

from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException

from processors.runtime.batches import LogRecord, RecordBatch


def drain(result: Any, limit: int, check_crcs: bool) -> RecordBatch | None:
    """Up to ``limit`` records of what was fetched of one partition, and whole Kafka batches; None if it is stale."""
    partition = result._topic_partition
    if not result.has_more() or not result.check_assignment(partition):
        return None
    fetched = result._partition_records
    begin = end = fetched.next_fetch_offset
    records: list[LogRecord] = []
    while fetched._records.has_next() and len(records) < limit:
        batch = fetched._records.next_batch()
        if check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"a batch of {partition} does not match its checksum")
        if not batch.is_control_batch:
            read = list(batch)
            if read and read[0].offset < end:  # the position was in the middle of a batch
                read = [record for record in read if record.offset >= end]
            records += read
        end = batch.next_offset
    fetched.next_fetch_offset = end
    result._update_position()
    if not fetched._records.has_next():
        result._partition_records = None
    return RecordBatch(partition.topic, partition.partition, begin, end, records) if end > begin else None


async def fetched_batches(
    fetcher: Any, partitions: Set[Any], timeout_s: float, limit: int, check_crcs: bool
) -> dict[Any, list[RecordBatch]]:
    """What ``Fetcher.fetched_records`` does, in batches: at most one of each partition. Empty after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while True:
        if fetcher._subscriptions.reassignment_in_progress:
            await fetcher._subscriptions.wait_for_assignment()
        drained: dict[Any, list[RecordBatch]] = {}
        for partition in list(fetcher._records):
            if partition not in partitions:
                if not fetcher._subscriptions.is_assigned(partition):
                    del fetcher._records[partition]
                continue
            result = fetcher._records[partition]
            if not isinstance(result, FetchResult):  # a FetchError
                if drained:
                    return drained
                forget(fetcher, partition)
                result.check_raise()
            batch = drain(result, limit, check_crcs)
            if not result.has_more():
                forget(fetcher, partition)
            if batch is not None:
                drained[partition] = [batch]
        left = deadline - time.monotonic()
        if drained or left <= 0:
            return drained
        waiter = fetcher._create_fetch_waiter()
        done, pending = await asyncio.wait([waiter], timeout=left)
        if not done or fetcher._closed:
            for one in pending:
                one.cancel()
            return {}
        waiter.result()  # raises where the topic may not be read


def forget(fetcher: Any, partition: Any) -> None:
    """Everything of this fetch is taken: let the fetcher ask for more."""
    del fetcher._records[partition]
    fetcher._notify(fetcher._wait_consume_future)
