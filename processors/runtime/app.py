"""A stage's Faust app: transport, agent, and what happens when partitions are taken away. Wiring only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faust
from yarl import URL

from processors.runtime.agent import BatchAgent
from processors.runtime.transport import Transport
from processors.settings import WorkerSettings

BATCHES_WAITING = 4
"""Batches between Kafka and the agent; some 10 MB each, and enough that the agent never waits."""


def build_app(settings: WorkerSettings, agent: BatchAgent[Any], topics: Sequence[str]) -> faust.App:
    """The Faust app: transport, agent, and what happens when partitions are taken away."""
    app = faust.App(
        settings.group_id,
        broker=f"aiokafka://{settings.kafka}",
        store="memory://",
        datadir=settings.state_dir / "faust",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        processing_guarantee="at_least_once",
        broker_commit_interval=settings.commit_interval_s,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 5,
        broker_request_timeout=max(30.0, settings.session_timeout_s * 2),
        broker_rebalance_timeout=60.0,
        broker_max_poll_interval=600.0,
        consumer_max_fetch_size=settings.fetch_bytes,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.group_instance_id,
        stream_buffer_maxsize=BATCHES_WAITING,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
    )
    app.transport = Transport(
        URL(f"aiokafka://{settings.kafka}"),
        app,
        positions=agent,
        batch_records=settings.batch_records,
        fetch_min_bytes=settings.fetch_min_bytes,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
    )
    read = app.topic(*topics, key_serializer="raw", value_serializer="raw")

    @app.agent(read, name=settings.stage, concurrency=1)
    async def take(stream: Any) -> None:
        # Faust would count messages acknowledged; what is committed is what the partitions say is evaluated.
        async for batch in stream.noack():
            await agent.process(batch)

    async def revoked(*args: Any, **kwargs: Any) -> None:
        await agent.revoked()

    app.on_partitions_revoked.connect(revoked, weak=False)
    return app
