"""The topics: created from the table in `schemas.topics`, never by producing to one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import click
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from console.errors import BrokerUnreachable, TopicsDiffer
from console.options import data_option, format_option, running
from schemas.topics import DEFAULT_PARTITIONS, TOPICS

TIMEOUT_S = 15.0


class TopicState(NamedTuple):
    """A topic as the broker has it; None partitions: it is not there."""

    name: str
    key: str
    schema: str
    partitions: int | None


def admin_client(kafka: str) -> AdminClient:
    """A client for ``host:port`` whose connection troubles do not clutter the terminal."""
    return AdminClient({"bootstrap.servers": kafka, "log_level": 2, "socket.timeout.ms": 5_000})


def list_topics(kafka: str) -> list[TopicState]:
    """Every topic of the table, as it is on the broker. BrokerUnreachable."""
    try:
        there = admin_client(kafka).list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise BrokerUnreachable(kafka, str(error.args[0].str())) from error
    found = {name: len(topic.partitions) for name, topic in there.items()}
    return [TopicState(topic.name, topic.key, topic.schema, found.get(topic.name)) for topic in TOPICS]


def create_topics(kafka: str, partitions: int | None = None, replication: int = -1) -> list[str]:
    """Create those that are not there; returns their names. ``replication`` -1: what the broker has by default.

    ``partitions`` None takes what is there, or the default. TopicsDiffer if topics with another number are there: it
    decides where keys live and is fixed at creation. BrokerUnreachable.
    """
    there = {state.name: state.partitions for state in list_topics(kafka)}
    kept = {there[topic.name] for topic in TOPICS if topic.partitions is None} - {None}
    if len(kept) > 1:
        raise TopicsDiffer(f"topics of {kafka} differ in their partitions: {there}. Clicks and conversions must agree.")
    if kept and partitions is not None and kept != {partitions}:
        raise TopicsDiffer(
            f"topics of {kafka} have {kept.pop()} partitions, not {partitions}: the number is fixed when they are "
            "created, since it decides where keys live. Leave out --partitions, or start in a new data folder."
        )
    count = kept.pop() if kept else partitions or DEFAULT_PARTITIONS
    assert count is not None
    missing = [topic for topic in TOPICS if there[topic.name] is None]
    if not missing:
        return []
    wanted = [NewTopic(t.name, t.partitions or count, replication, config=t.settings()) for t in missing]
    client = admin_client(kafka)  # kept until the answers are there: they end with it
    for name, future in client.create_topics(wanted, operation_timeout=TIMEOUT_S).items():
        try:
            future.result(timeout=TIMEOUT_S * 2)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process was first
                raise BrokerUnreachable(kafka, f"cannot create topic {name}: {error.args[0].str()}") from error
    return [topic.name for topic in missing]


@click.group()
def topics() -> None:
    """The Kafka topics.

    \b
    On one machine `accredit up` creates them. On a broker of yours, once, before anything else:
        ACCREDIT_KAFKA=broker:9092 accredit topics create --partitions 64 --replication 3
    """


@topics.command("create")
@data_option
@click.option("--partitions", type=click.IntRange(1, 10_000), help=f"[default: {DEFAULT_PARTITIONS}; catalog: 1]")
@click.option("--replication", type=click.IntRange(1, 32), help="Replicas of each partition. [default: the broker's]")
def create(data: Path | None, partitions: int | None, replication: int | None) -> None:
    """Create the topics that are not there. The number of partitions is fixed then."""
    kafka = broker(data)
    created = create_topics(kafka, partitions, replication or -1)
    click.echo(f"created {', '.join(created)}" if created else "all topics are there")


@topics.command("list")
@data_option
@format_option("table", "json", "csv")
def list_(data: Path | None, form: str) -> None:
    """The topics, what keys them, how many partitions they have."""
    from console.tables import print_rows

    print_rows(TopicState._fields, rows(list_topics(broker(data))), form)


def rows(states: Iterable[TopicState]) -> list[tuple[object, ...]]:
    return [tuple(state) for state in states]


def broker(data: Path | None) -> str:

    return running(data).broker()
