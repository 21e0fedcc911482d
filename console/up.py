"""`accredit up`: the whole product on one machine, until Ctrl-C."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text

from console.installation import Installation, held
from console.logs import configure_logging
from console.options import data_option
from console.say import Say
from console.settings import DEFAULT_DATA, Settings, read_settings
from console.stack import Stack, shown
from schemas.topics import DEFAULT_PARTITIONS


@click.command()
@data_option
@click.option(
    "--partitions",
    type=click.IntRange(1, 1_000),
    help=f"Partitions of the topics; fixed at the first start of a folder. [default: {DEFAULT_PARTITIONS}]",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Attribution processes.")
def up(data: Path | None, partitions: int | None, workers: int) -> None:
    """Run the whole product on this machine: Kafka, ClickHouse, ingest, worker, sink, web page.

    Nothing needs to be installed: Apache Kafka is fetched at the first start (44 MB, once per user). Everything is
    kept in the data folder; ports are chosen at the first start and kept there, too. A process that dies is started
    again. Ctrl-C stops all of it in order.

    \b
    Everything in ./shop:
        accredit up --data shop
    With a Kafka and a ClickHouse of yours:
        ACCREDIT_KAFKA=broker:9092 ACCREDIT_CLICKHOUSE=http://user:secret@ch:8123 accredit up
    """
    settings = read_settings()
    text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stdout.isatty())
    say = Say(text=text)
    configure_logging(settings, level="warning" if text else "debug")
    folder = (data or settings.data).absolute()
    with held(folder):
        run(Stack(folder, settings, say, partitions=partitions, workers=workers), say, settings)


def run(stack: Stack, say: Say, settings: Settings) -> None:
    """Start, watch until the end is asked for, stop; whatever happens, nothing is left behind."""
    with stack.supervisor.signals():
        try:
            say("starting", f"Accredit starts in {stack.data}", data=str(stack.data))
            stack.start()
            say.table(addresses(stack.installation, settings))
            say("up", "everything runs; Ctrl-C stops it", **stack.installation.model_dump(mode="json"))
            stack.supervisor.watch()
        except KeyboardInterrupt:
            pass
        finally:
            say("stopping", "stopping, in order")
            stack.stop()
    say("stopped", "stopped")


def addresses(installation: Installation, settings: Settings) -> Group:
    """What is where, and what to do next."""
    where = Table.grid(padding=(0, 2))
    where.add_column(style="bold")
    where.add_row("ingest", f"{installation.ingest}   /c/OFFER?partner=ID, /pb, /v1/events")
    where.add_row("console", f"{installation.console}   in the browser")
    reader = "" if settings.clickhouse else "   user default, or reader (cannot write)"
    where.add_row("ClickHouse", f"{shown(installation.clickhouse)}{reader}")
    where.add_row("Kafka", str(installation.kafka))
    where.add_row("logs", str(installation.data / "logs"))
    chosen = "" if installation.data == DEFAULT_DATA.absolute() else f" --data {installation.data}"
    steps = "\n".join(
        f"  accredit {step}{chosen}"
        for step in ("catalog apply catalog.yaml", "load events.ndjson --wait", "report --by partner", "status")
    )
    return Group(Text(), where, Text(f"\nNext, in another terminal:\n{steps}\n"))
