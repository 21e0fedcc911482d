"""`accredit ingest|worker|sink|console`: each process alone, against any Kafka and ClickHouse.

Here the environment and the options become the settings object of a package; the packages read neither.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from console.errors import ConsoleError
from console.installation import Installation, find
from console.logs import configure_logging
from console.options import data_option
from console.settings import Settings, read_settings

Command = TypeVar("Command", bound=Callable[..., Any])
Stage = Literal["attribution", "settlement"]
LOOPBACK = "127.0.0.1"


def listen_options(default_port: int) -> Callable[[Command], Command]:
    """``--host`` and ``--port`` of what the process serves."""

    def add(command: Command) -> Command:
        command = click.option("--port", type=click.IntRange(0, 65_535), default=default_port, show_default=True)(
            command
        )
        return click.option("--host", default=LOOPBACK, show_default=True, help="Address to listen on.")(command)

    return add


def instance_option(command: Command) -> Command:
    """``--instance NAME``."""
    text = "Static group membership: a restart under this name moves nothing."
    return click.option("--instance", metavar="NAME", help=text)(command)


def prepared(data: Path | None) -> tuple[Settings, Installation]:
    """Settings and addresses for a process of its own; logging is set up."""
    settings = read_settings()
    configure_logging(settings)
    return settings, find(settings, data)


@click.command()
@data_option
@listen_options(8080)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes on the one port.")
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="What governs this front door. [default: DATA/ingest.yaml where there is one]",
)
def ingest(data: Path | None, host: str, port: int, workers: int, config: Path | None) -> None:
    """Tracking links, postbacks and bulk events: HTTP in, Kafka out.

    \b
        ACCREDIT_KAFKA=broker:9092 accredit ingest --host 0.0.0.0 --port 8080 --workers 2

    The data folder holds keys.json, which signs the click ids: every ingest process needs the same.
    """
    from console.keys import load_keys
    from ingest.config import read_config
    from ingest.edge.visitor import edge_of
    from ingest.errors import ConfigInvalid
    from ingest.server import serve
    from ingest.settings import IngestSettings

    settings, installation = prepared(data)
    folder = data or settings.data
    beside_data = folder / "ingest.yaml"
    try:
        read = read_config(config or (beside_data if beside_data.exists() else None))
        edge_of(read.edge, read.privacy, folder)  # the files that it names are seen to be good before anything serves
    except ConfigInvalid as error:
        raise ConsoleError(str(error)) from None
    ingest_settings = IngestSettings(
        kafka=installation.broker(),
        host=host,
        port=port,
        data_dir=folder,
        keys=load_keys(folder),
        workers=workers,
        config=read,
    )
    try:
        serve(ingest_settings, prepare=partial(configure_logging, settings))
    except OSError as error:
        raise ConsoleError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None


@click.command()
@data_option
@listen_options(9101)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="This worker's store; may be deleted, and is rebuilt. [default: DATA/state/1, or DATA/state/settlement]",
)
@instance_option
@click.option(
    "--stage", type=click.Choice(["attribution", "settlement"]), default="attribution", show_default=True, help="Which."
)
def worker(data: Path | None, host: str, port: int, state: Path | None, instance: str | None, stage: Stage) -> None:
    """Attribution: joins clicks and conversions per session, writes credits.

    With --stage settlement: decides which claim of an order stands where several doors reported it.

    \b
        ACCREDIT_KAFKA=broker:9092 accredit worker --state /var/lib/accredit/state --instance worker-3

    As many as there are partitions may run. Serves /healthz, /readyz and /metrics.
    """
    from processors.settings import WorkerSettings
    from processors.worker import run

    settings, installation = prepared(data)
    run(
        WorkerSettings(
            kafka=installation.broker(),
            state_dir=state or (data or settings.data) / "state" / ("1" if stage == "attribution" else stage),
            stage=stage,
            clickhouse_url=installation.clickhouse,
            group_id=f"accredit-{stage}",
            group_instance_id=instance,
            http_host=host,
            http_port=port,
        )
    )


@click.command()
@data_option
@listen_options(9102)
@instance_option
def sink(data: Path | None, host: str, port: int, instance: str | None) -> None:
    """Writes every topic to ClickHouse, and creates and migrates its tables.

    \b
        ACCREDIT_KAFKA=broker:9092 ACCREDIT_CLICKHOUSE=http://user:secret@ch:8123 accredit sink

    Serves /healthz, /readyz and /metrics.
    """
    from sinks.clickhouse import run
    from sinks.clickhouse.settings import SinkSettings

    _, installation = prepared(data)
    run(
        SinkSettings(
            kafka=installation.broker(),
            clickhouse_url=installation.server(),
            instance_id=instance,
            http_host=host,
            http_port=port,
        )
    )


@click.command()
@data_option
@listen_options(8081)
def console(data: Path | None, host: str, port: int) -> None:
    """The web page: status and report in the browser. It only reads.

    \b
        accredit console --port 8081
    """
    from console.web import serve

    settings, _ = prepared(data)
    serve(settings, data, host, port)
