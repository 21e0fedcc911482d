"""How far each stage is: ends of topics, and what consumer groups have committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from console.errors import BrokerUnreachable
from console.topics import admin_client
from schemas.topics import ADJUSTMENTS, CLICKS, CONVERSIONS, CREDITS, DEAD_LETTERS, TOPICS

TIMEOUT_S = 10.0

Place = tuple[str, int]
"""Topic and partition."""
Offsets = Mapping[Place, int]


class Stage(NamedTuple):
    """A consumer group and the topics that it reads."""

    name: str
    group: str
    topics: tuple[str, ...]


class StageLag(NamedTuple):
    """Records of a topic that a stage has not committed yet."""

    stage: str
    topic: str
    behind: int


ATTRIBUTION = Stage("attribution", "accredit-attribution", (CLICKS, CONVERSIONS))
SETTLEMENT = Stage("settlement", "accredit-settlement", (CREDITS,))
SINK = Stage("clickhouse sink", "accredit-clickhouse", tuple(topic.name for topic in TOPICS))
STAGES = (ATTRIBUTION, SETTLEMENT, SINK)
EVENTS_IN = (CLICKS, CONVERSIONS, ADJUSTMENTS)
EVENTS_OUT = (CREDITS, DEAD_LETTERS)


class Offset(NamedTuple):
    """First and next offset of a partition: what is there lies between."""

    low: int
    end: int


def behind(ends: Mapping[Place, Offset], committed: Offsets, topics: Iterable[str]) -> int:
    """Records of ``topics`` between what is committed and the end; without a commit, from the first one there is."""
    wanted = set(topics)
    return sum(
        max(0, offset.end - max(committed.get(place, offset.low), offset.low))
        for place, offset in ends.items()
        if place[0] in wanted
    )


class Broker:
    """Asks a broker for offsets. BrokerUnreachable from every method while it is away.

    A client whose broker was killed in the middle of a request may time out for ever after (seen), so each failure is
    followed by a fresh one.
    """

    def __init__(self, kafka: str, client: Callable[[str], AdminClient] = admin_client) -> None:
        self.kafka = kafka
        self._client = client
        self._admin = client(kafka)
        self._readers: dict[str, Consumer] = {}

    def _away(self, error: KafkaException) -> BrokerUnreachable:
        self._admin = self._client(self.kafka)
        self._readers.clear()
        return BrokerUnreachable(self.kafka, error.args[0].str())

    def offsets(self, topics: Iterable[str]) -> Mapping[Place, Offset]:
        """First and next offset of every partition of those of the topics that are there."""
        try:
            there = self._admin.list_topics(timeout=TIMEOUT_S).topics
            places = [TopicPartition(name, p) for name in topics if name in there for p in there[name].partitions]
            low = self._listed(places, OffsetSpec.earliest())
            return {place: Offset(low[place], end) for place, end in self._listed(places, OffsetSpec.latest()).items()}
        except KafkaException as error:
            raise self._away(error) from error

    def committed(self, stage: Stage) -> dict[Place, int]:
        """What a stage has committed of its topics; empty for one that has not.

        A consumer of the group is asked, which never joins it: librdkafka's admin client ends the process with a
        segmentation fault when the group has no coordinator yet (2.16, seen just after a broker's start).
        """
        reader = self._readers.get(stage.group)
        try:
            if reader is None:
                settings = {"bootstrap.servers": self.kafka, "group.id": stage.group, "enable.auto.commit": False}
                reader = self._readers[stage.group] = Consumer({**settings, "log_level": 2})
            there = reader.list_topics(timeout=TIMEOUT_S).topics
            places = [TopicPartition(name, p) for name in stage.topics if name in there for p in there[name].partitions]
            found = reader.committed(places, timeout=TIMEOUT_S) if places else []
        except KafkaException as error:
            raise self._away(error) from error
        return {(place.topic, place.partition): place.offset for place in found if place.offset >= 0}

    def lag(self, stages: Iterable[Stage] = STAGES) -> list[StageLag]:
        """A line per stage and topic."""
        known = tuple(stages)
        ends = self.offsets({topic for stage in known for topic in stage.topics})
        lines = []
        for stage in known:
            committed = self.committed(stage)
            lines += [StageLag(stage.name, topic, behind(ends, committed, [topic])) for topic in stage.topics]
        return lines

    def _listed(self, places: list[TopicPartition], which: OffsetSpec) -> dict[Place, int]:
        if not places:
            return {}
        asked = self._admin.list_offsets(dict.fromkeys(places, which), request_timeout=TIMEOUT_S)
        return {(p.topic, p.partition): future.result(timeout=TIMEOUT_S * 2).offset for p, future in asked.items()}
