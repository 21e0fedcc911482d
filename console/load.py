"""`accredit load`: events from a file of NDJSON into Kafka, with progress; on request until all can be queried."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from console.installation import Installation
from console.options import data_option, running

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ingest.load import LoadResult

WAIT_S = 600


@click.command()
@data_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--wait", is_flag=True, help="Return when all that follows from the file can be queried.")
@click.option(
    "--timeout", "timeout_s", type=float, default=WAIT_S, show_default=True, help="Seconds that --wait waits."
)
@click.option("--keep-received-at", is_flag=True, help="Keep the events' received_at: restore an export.")
@click.option("--strict", is_flag=True, help="Exit with 1 when a line was refused.")
def load(data: Path | None, file: Path, wait: bool, timeout_s: float, keep_received_at: bool, strict: bool) -> None:
    """Load events from FILE, one JSON object a line; - reads standard input.

    \b
        accredit load events.ndjson --wait
        zcat export.ndjson.gz | accredit load - --keep-received-at

    Each line is checked as POST /v1/events checks it. What is refused is printed with its line and reason and kept as
    a dead letter with its original bytes; the rest goes on. Loading a file again changes no credit: the same events
    are the same. Exits with 0 when every line is in Kafka, as an event or as a dead letter.
    """
    installation = running(data)
    kafka = installation.broker()
    with progress() as bars:
        result, seconds = load_into(installation, kafka, file, keep_received_at, bars)
        show(result, file, seconds)
        if wait:
            wait_for_all(kafka, timeout_s, bars)
    if strict and result.rejected:
        sys.exit(1)


def load_into(
    installation: Installation, kafka: str, file: Path, keep: bool, bars: Progress
) -> tuple[LoadResult, float]:
    """Load the file with a bar of its bytes, or a moving one where its size is not known; how many seconds it took."""
    from console.keys import load_keys
    from ingest.bulk_publisher import BulkPublisher
    from ingest.load import intake_now, load_file, read_lines

    intake = intake_now(kafka, load_keys(installation.data))
    size = None if str(file) == "-" else file.stat().st_size
    bar = bars.add_task("load", total=size, done="")
    began = time.monotonic()

    def advance(lines: int, read: int) -> None:
        rate = lines / max(time.monotonic() - began, 1e-9)
        bars.update(bar, completed=read, done=f"{lines:,} lines, {rate:,.0f}/s")

    with opened(file) as stream, BulkPublisher(kafka) as publisher:
        result = load_file(read_lines(stream), publisher, intake, received_at_kept=keep, on_progress=advance)
        return result, time.monotonic() - began


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """The file, or standard input."""
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    with file.open("rb") as stream:
        yield stream


@contextmanager
def progress() -> Iterator[Progress]:
    """Bars on stderr while it is a terminal, nothing otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[done]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bars:
        yield bars


def show(result: LoadResult, file: Path, seconds: float) -> None:
    """What went in; what was refused, with file, line and reason; the counts of reasons."""
    kinds = ", ".join(f"{count:,} {kind}{'' if count == 1 else 's'}" for kind, count in sorted(result.kinds.items()))
    rate = result.lines / max(seconds, 1e-9)
    click.echo(f"accepted {result.accepted:,} ({kinds or 'nothing'}) in {seconds:.1f} s, {rate:,.0f} lines/s")
    if not result.rejected:
        return
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(result.reasons.items()))
    click.secho(
        f"refused {result.rejected:,} ({reasons}); each is a dead letter with its original", fg="yellow", err=True
    )
    for problem in result.first_problems:
        field = f"{problem.field}: " if problem.field else ""
        click.echo(f"  {file}:{problem.line}: {problem.reason}: {field}{problem.detail}", err=True)
    if len(result.first_problems) < result.rejected:
        more = result.rejected - len(result.first_problems)
        click.echo(f"  … and {more:,} more; see table dead_letters in ClickHouse", err=True)


def wait_for_all(kafka: str, timeout_s: float, bars: Progress) -> None:
    """Wait, with a bar per stage, or a line per stage where there is no terminal."""
    from console.lag import Broker
    from console.wait import Waiter

    stages: dict[str, TaskID] = {}
    began = time.monotonic()

    def told(stage: str, left: int, first: int) -> None:
        if stage not in stages:
            stages[stage] = bars.add_task(f"wait: {stage}", total=first, done="")
            if bars.disable:
                click.echo(f"waiting for {stage}: {left:,} records to do", err=True)
        bars.update(stages[stage], completed=first - left, done=f"{left:,} records to do" if left else "done")

    troubles: set[str] = set()

    def trouble(reason: str) -> None:
        if reason not in troubles:
            troubles.add(reason)
            bars.console.print(f"waiting: {reason}", style="yellow", highlight=False)

    Waiter(Broker(kafka), timeout_s, told, trouble).until_queryable()
    click.echo(f"all of it can be queried, after {time.monotonic() - began:.1f} s more")
