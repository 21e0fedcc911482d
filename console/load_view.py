"""What `accredit load` shows: how far it is, what became of the file, the first events of a dry run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ingest.load import LoadResult
    from ingest.loading.preview import Previewed
    from ingest.loading.source import Source

LINE_EVERY_S = 10.0


class LoadView:
    """A bar on a terminal, a line on stderr every ten seconds elsewhere; both with rate and remaining time."""

    def __init__(self, source: Source, bars: Progress) -> None:
        self.bars = bars
        self._source = source
        self._bar = bars.add_task("load", total=source.total, done="")
        self._began = self._told = time.monotonic()
        self._first: tuple[int, int] | None = None
        self._after = 0

    def begin(self, after: int) -> None:
        """The rows up to ``after`` were loaded before: they count in no rate."""
        self._after = after

    def advance(self, number: int) -> None:
        """All up to this row is done."""
        now = time.monotonic()
        at = self._source.position(number)
        if self._first is None:
            self._first = (at, number)
        rate = (number - self._after) / max(now - self._began, 1e-9)
        self.bars.update(self._bar, completed=at, done=f"{number:,} rows, {rate:,.0f}/s")
        if self.bars.disable and now - self._told >= LINE_EVERY_S:
            self._told = now
            click.echo(f"{number:,} rows, {rate:,.0f}/s{self._share(at, now)}", err=True)

    def _share(self, at: int, now: float) -> str:
        total = self._source.total
        if not total or self._first is None or at <= self._first[0]:
            return ""
        left = (now - self._began) / (at - self._first[0]) * (total - at)
        return f", {100 * at / total:.0f} %, about {left / 60:.0f} min {left % 60:.0f} s left".replace(" 0 min", "")


@contextmanager
def load_view(source: Source) -> Iterator[LoadView]:
    """The view while its block runs."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[done]}"))
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, disable=not console.is_terminal) as bars:
        yield LoadView(source, bars)


def show(result: LoadResult, file: Path, seconds: float) -> None:
    """What went in; what was refused, with file, line and reason; the counts of reasons."""
    kinds = ", ".join(f"{count:,} {kind}{'' if count == 1 else 's'}" for kind, count in sorted(result.kinds.items()))
    rate = result.rows / max(seconds, 1e-9)
    click.echo(f"accepted {result.accepted:,} ({kinds or 'nothing'}) in {seconds:.1f} s, {rate:,.0f} rows/s")
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
        click.echo(f"  … and {more:,} more; see accredit dead-letters list --stage load", err=True)


def show_preview(rows: Sequence[Previewed], file: Path) -> None:
    """The first events as a table, a column for each field that one of them has."""
    from console.tables import print_rows

    names = list(dict.fromkeys(name for row in rows for name in row.fields))
    names.sort(key=lambda name: name != "type")

    def refused(row: Previewed) -> str:
        return "" if row.problem is None else f"{row.problem.reason}: {row.problem}"

    cells = [(row.number, *(row.fields.get(name) for name in names), refused(row)) for row in rows]
    print_rows(["line", *names, "refused"], cells, "table", title=f"The first rows of {file}; nothing is loaded")
    good = sum(row.problem is None for row in rows)
    click.echo(f"{good} of {len(rows)} would be events; whether the catalog knows what they name is seen when loading")


def wait_for_all(kafka: str, timeout_s: float, view: LoadView) -> None:
    """Wait, with a bar per stage, or a line per stage where there is no terminal."""
    from console.lag import Broker
    from console.wait import Waiter

    bars = view.bars
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
