"""Two processes of the front door on a real broker: what one has accepted the other calls a duplicate."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from ingest.catalog_log import publish_catalog
from ingest.recent import RecentConversions
from ingest.recent_follow import ConversionFollower
from schemas.ids import conversion_id
from tests.support.front_door import CATALOG
from tests.support.ingest_process import IngestProcess, create_topics, read_topic, until

pytestmark = pytest.mark.integration

FOLLOWED_S = 1.0
"""A process waits half a second for company before it fetches what others have accepted."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker of this module's own: the topics have their real names."""
    broker = Kafka(tmp_path_factory.mktemp("recent"))
    broker.start()
    try:
        create_topics(broker.bootstrap)
        yield broker
    finally:
        broker.stop()


def report(process: IngestProcess, order: str, amount: str = "5") -> str:
    said = process.ask("GET", f"/pb?advertiser_id=shop&order_id={order}&amount={amount}").json
    return str(said.get("reason") or said["status"])


def test_processes_agree_on_what_is_a_copy(broker: Kafka, tmp_path: Path) -> None:
    publish_catalog(broker.bootstrap, CATALOG, "test")
    processes = [IngestProcess(broker.bootstrap, tmp_path / f"ingest{number}.log") for number in (1, 2)]
    try:
        one, other = processes
        until(lambda: one.ready() and other.ready(), "both to be ready")
        assert report(one, "first") == "accepted"
        assert report(one, "first") == "duplicate"
        asked = 0

        def known_to_the_other() -> bool:
            """With a new order each time: one that the other is asked for too early is known to it from then on."""
            nonlocal asked
            asked += 1
            assert report(one, f"order-{asked}") == "accepted"
            time.sleep(FOLLOWED_S)
            return report(other, f"order-{asked}") == "duplicate"

        until(known_to_the_other, "the other process to follow")
        assert report(other, "first", "5.00") == "duplicate"
        assert report(other, "first", "6") == "CONFLICT"
    finally:
        for process in processes:
            process.stop()
    orders = {record.conversion_id for _, record in read_topic(broker.bootstrap, "conversions")}  # type: ignore[union-attr]

    recent = RecentConversions()
    follower = ConversionFollower(broker.bootstrap, recent, 1_000, lambda _: "EUR")
    follower.start()
    try:
        until(lambda: len(recent) == len(orders), "a new process to read what was before it")
        assert recent.meet(conversion_id("shop", "sale", "first", None), "5", "EUR") == "duplicate"
    finally:
        follower.close()
