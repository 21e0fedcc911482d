"""`accredit demo`: a fresh installation, the story, the report; then it stays up."""

from __future__ import annotations

import shutil
import threading
import time
from importlib import resources
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from console.catalog import await_followers
from console.demo.ledger import ClickHouseLedger, DemoCredit
from console.demo.story import Story
from console.errors import ConsoleError, StoryFailed
from console.installation import LOCK, held
from console.logs import configure_logging
from console.report import read_report
from console.say import Say
from console.settings import Settings, read_settings
from console.stack import Stack
from console.tables import print_table
from console.up import addresses
from ingest.catalog_log import publish_catalog

FOLDER = Path("demo-data")
PARTITIONS = 2
CATALOG = "catalog.yaml"
MARK = "demo"
"""A file by which the demo knows a folder that it may empty."""


class Narrator:
    """Tells the story in the terminal, as it happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """A new chapter."""
        self._chapter += 1
        self._console.print(Text(f"\n{self._chapter}. {title}", style="bold"))

    def line(self, text: str) -> None:
        """Something that was done."""
        self._console.print(Text(f"   {text}", style="dim"), soft_wrap=True)

    def credit(self, credit: DemoCredit, because: str) -> None:
        """What an order came to."""
        self._console.print(Text.assemble("   ", outcome(credit), (f": {because}", "italic")), soft_wrap=True)


def outcome(credit: DemoCredit) -> Text:
    """``L-1001 → weekly-mail, 0.00 EUR``"""
    text = Text(f"{credit.order_id} → ")
    if credit.partner_id is None:
        return text.append(credit.status, style="yellow")
    return text.append(credit.partner_id, style="green").append(f", {credit.payout} {credit.currency}")


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    metavar="DIR",
    help="Folder of the demo; emptied at its start.",
)
@click.option("--exit", "exits", is_flag=True, help="Stop after the report; exit code 1 if it is not as it must be.")
def demo(data: Path, exits: bool) -> None:
    """A short story through a fresh installation: real redirects, real postbacks, who got what and why.

    \b
        accredit demo             stays up until Ctrl-C, to look around in
        accredit demo --exit      stops by itself
    """
    settings = read_settings().model_copy(update={"kafka": None, "clickhouse": None})
    configure_logging(settings, level="warning")
    say = Say(text=True)
    folder = data.absolute()
    refuse_others_folder(folder)
    with held(folder):
        empty(folder)
        run(folder, settings, say, exits)


def run(folder: Path, settings: Settings, say: Say, exits: bool) -> None:
    """Start everything, have the story told in a thread while this one supervises, stop."""
    stack = Stack(folder, settings, say, partitions=PARTITIONS, workers=1)
    telling: StoryThread | None = None
    began = time.monotonic()
    with stack.supervisor.signals():
        try:
            say("starting", f"A fresh Accredit in {folder}")
            stack.start()
            telling = StoryThread(stack, say)
            telling.start()
            stack.supervisor.watch(until=lambda: not telling.is_alive())
            telling.join()
            if telling.failure is None and not stack.supervisor.stopping:
                say.console.print(f"\nAs it must be, after {time.monotonic() - began:.0f} s.", style="green")
                if not exits:
                    say.table(addresses(stack.installation, settings))
                    say("up", "everything stays up; Ctrl-C stops it")
                    stack.supervisor.watch()
        except KeyboardInterrupt:
            pass
        finally:
            say("stopping", "stopping, in order")
            stack.stop()
    if telling is not None and telling.failure is not None:
        raise telling.failure
    if exits and (telling is None or not telling.told):
        raise StoryFailed("the story was not told to its end")


class StoryThread(threading.Thread):
    """Plays the story; ``failure`` keeps what went wrong."""

    def __init__(self, stack: Stack, say: Say) -> None:
        super().__init__(name="story", daemon=True)
        self.failure: ConsoleError | None = None
        self.told = False
        self._stack = stack
        self._say = say

    def run(self) -> None:
        """Apply the catalog, play, report."""
        try:
            self._tell()
            self.told = True
        except ConsoleError as error:
            if not self._stack.supervisor.stopping:
                self.failure = error
        except Exception as error:  # a thread's end must not be silent: it fails the demo
            self.failure = StoryFailed(f"{type(error).__name__}: {error}")
            self.failure.__cause__ = error

    def _tell(self) -> None:
        installation = self._stack.installation
        text = (resources.files("console.demo") / CATALOG).read_text()
        version = publish_catalog(installation.broker(), text, "demo")
        self._say("catalog_applied", f"catalog version {version.version} applied: one shop, four partners, one code")
        await_followers(installation)
        ledger = ClickHouseLedger(installation.server())
        assert installation.ingest is not None
        console = self._say.console
        story = Story(installation.ingest, ledger, Narrator(console), lambda: self._stack.supervisor.stopping)
        story.play()
        console.print(explained(list(ledger.credits().values())))
        by_partner = read_report(installation.server(), ("partner",))
        print_table(by_partner.columns, by_partner.rows, "By partner (accredit report)")


def explained(credits: list[DemoCredit]) -> Table:
    """Every order with who got it, what decided, and every candidate with its rank or why it dropped out."""
    table = Table(title="\nWho got what, and why", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in ("order", "credit", "decided by", "candidates"):
        table.add_column(name)
    for credit in credits:
        why = credit.decided_by or credit.reason or ""
        if credit.duplicates:
            why += f"\n{credit.duplicates} duplicate"
        who = credit.partner_id or credit.status
        money = f"\n{credit.payout} {credit.currency}" if credit.payout is not None else ""
        table.add_row(credit.order_id, who + money, why, "\n".join(candidate_lines(credit)) or "nobody")
    return table


def candidate_lines(credit: DemoCredit) -> list[str]:
    """``1 weekly-mail click (preferred)``, ``- bright-blog click: INVALID_TOUCH``."""
    lines = []
    for candidate in credit.candidates:
        group = f" ({candidate.credit_group})" if candidate.credit_group else ""
        dropped = f": {candidate.reason}" if candidate.reason else ""
        lines.append(f"{candidate.rank or '-'} {candidate.partner_id} {candidate.type}{group}{dropped}")
    return lines


def refuse_others_folder(folder: Path) -> None:
    """The demo empties its folder; one that it has not made is left alone. ConsoleError."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise ConsoleError(f"{folder} is not a folder of the demo, which would empty it. Name another with --data.")


def empty(folder: Path) -> None:
    """Take away everything but the lock, which is held, and leave the mark."""
    (folder / MARK).touch()
    for path in folder.iterdir():
        if path.name not in (LOCK, MARK):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
