"""`accredit status`: processes, events in and out, lag per stage."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import click

from console.installation import Installation
from console.lag import EVENTS_IN, EVENTS_OUT, Broker, StageLag
from console.options import data_option, format_option, running
from console.probe import health
from console.settings import without_password


class ProcessState(NamedTuple):
    """A process: ``ready`` yes, or why not."""

    name: str
    pid: int | None
    address: str
    ready: str
    log: str


class Status(NamedTuple):
    """What `accredit status` shows. ``trouble``: what could not be asked."""

    processes: tuple[ProcessState, ...]
    events_in: dict[str, int]
    events_out: dict[str, int]
    lag: tuple[StageLag, ...]
    trouble: tuple[str, ...]


def read_status(installation: Installation) -> Status:
    """Ask every process and the broker. What does not answer is said in ``trouble``; nothing raises for it."""
    from console.errors import BrokerUnreachable

    counts: dict[str, int] = {}
    lag: list[StageLag] = []
    trouble: list[str] = []
    if installation.kafka is not None:
        broker = Broker(installation.kafka)
        try:
            for (topic, _), offset in broker.offsets((*EVENTS_IN, *EVENTS_OUT)).items():
                counts[topic] = counts.get(topic, 0) + offset.end - offset.low
            lag = broker.lag()
        except BrokerUnreachable as error:
            trouble.append(str(error))
    return Status(
        processes=tuple(process_states(installation)),
        events_in={topic: counts[topic] for topic in EVENTS_IN if topic in counts},
        events_out={topic: counts[topic] for topic in EVENTS_OUT if topic in counts},
        lag=tuple(lag),
        trouble=tuple(trouble),
    )


def process_states(installation: Installation) -> list[ProcessState]:
    """Each process that `accredit up` looks after, as it is now."""
    states = []
    for process in installation.processes:
        if process.pid is None:
            ready = "down, being started again"
        elif process.url is None:
            ready = "yes"
        else:
            found = health(process.url, ready_path="/ping" if process.name == "clickhouse" else "/readyz")
            ready = "yes" if found.ready else found.reason
        address = process.url or (installation.kafka or "")
        states.append(ProcessState(process.name, process.pid, without_password(address), ready, str(process.log)))
    return states


def as_json(status: Status) -> dict[str, Any]:
    """For a program: names as in the table."""
    return {
        "processes": [state._asdict() for state in status.processes],
        "events_in": status.events_in,
        "events_out": status.events_out,
        "lag": [line._asdict() for line in status.lag],
        "trouble": list(status.trouble),
    }


@click.command()
@data_option
@format_option("table", "json")
def status(data: Path | None, form: str) -> None:
    """Processes, events in and out, lag per stage.

    \b
        accredit status
        accredit status --format json | jq '.lag[] | select(.behind > 0)'

    A stage's lag is the number of records in a topic that it has not finished. Exits with 1 when something does not
    answer or is not ready.
    """
    found = read_status(running(data))
    if form == "json":
        sys.stdout.write(json.dumps(as_json(found), indent=1) + "\n")
    else:
        show(found)
    if found.trouble or any(state.ready != "yes" for state in found.processes):
        sys.exit(1)


def show(status: Status) -> None:
    """The tables."""
    from console.tables import print_table

    if status.processes:
        print_table(ProcessState._fields[:-1], [state[:-1] for state in status.processes], "Processes")
    both = (("in", status.events_in), ("out", status.events_out))
    counts = [(where, topic, count) for where, topics in both for topic, count in topics.items()]
    if counts:
        print_table(("", "topic", "records"), counts, "Events")
    if status.lag:
        print_table(("stage", "topic", "behind"), status.lag, "Lag")
    for line in status.trouble:
        click.secho(line, fg="red", err=True)
