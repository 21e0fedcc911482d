"""``accredit``: the root of the command line. A subcommand's module is imported when it is run, not before."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click


class Entry(NamedTuple):
    """A subcommand: in which part of the help, the module and name that hold it, a line for the list."""

    section: str
    target: str
    summary: str


RUN, WORK, LOOK, ALONE = "Run it", "Work with it", "Look", "Each process alone"

COMMANDS: dict[str, Entry] = {
    "up": Entry(RUN, "console.up:up", "Run the whole product on this machine, supervised."),
    "demo": Entry(RUN, "console.demo.command:demo", "A short story through a fresh installation, and who got what."),
    "catalog": Entry(WORK, "console.catalog:catalog", "Advertisers, offers, partners, contracts, codes: apply, show."),
    "link": Entry(WORK, "console.links.command:link", "Tracking links: build, check, try; QR codes."),
    "load": Entry(WORK, "console.load:load", "Load events from a file: NDJSON, CSV, Parquet; resumable."),
    "credit": Entry(WORK, "console.credit:credit", "Decide the credits of a file of events, offline."),
    "keys": Entry(WORK, "console.access_keys:keys", "API keys; how advertisers' postbacks prove themselves."),
    "click-keys": Entry(WORK, "console.keys:click_keys", "The keys that sign click ids."),
    "script": Entry(WORK, "console.script:script", "The script tag for a shop, with its integrity hash."),
    "forget": Entry(WORK, "console.forget.command:forget", "Make a session or a customer unreadable, and prove it."),
    "topics": Entry(WORK, "console.topics:topics", "The Kafka topics: create, list."),
    "report": Entry(LOOK, "console.report:report", "Who got what: by partner, offer, program, day, order, …"),
    "session": Entry(LOOK, "console.session:session", "What is known of one visitor, sealed fields opened."),
    "dead-letters": Entry(WORK, "console.dead_letters:dead_letters", "What could not be used: list, show, retry."),
    "audit": Entry(LOOK, "console.audit:audit", "Prove that every received event is accounted for."),
    "status": Entry(LOOK, "console.status:status", "Processes, events in and out, lag per stage."),
    "ingest": Entry(ALONE, "console.processes:ingest", "Tracking links, postbacks, bulk events: HTTP in, Kafka out."),
    "worker": Entry(ALONE, "console.processes:worker", "Attribution: joins clicks and conversions, writes credits."),
    "sink": Entry(ALONE, "console.processes:sink", "Writes every topic to ClickHouse."),
    "console": Entry(ALONE, "console.processes:console", "The web page."),
}


class LazyGroup(click.Group):
    """A group that knows its subcommands' names and one line of each without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.target.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        there = self.list_commands(ctx)
        for section in dict.fromkeys(COMMANDS[name].section for name in there):
            with formatter.section(section):
                formatter.write_dl([(n, COMMANDS[n].summary) for n in there if COMMANDS[n].section == section])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="accredit", prog_name="accredit")
def accredit() -> None:
    """Streaming attribution: clicks and conversions in, explained credits out.

    \b
    In one terminal, everything on this machine, in the folder ./data:
        accredit up
    In another one:
        accredit catalog apply catalog.yaml
        accredit load events.ndjson --wait
        accredit report --by order

    Every command finds the running system by its folder: --data DIR, else ACCREDIT_DATA, else ./data.
    `accredit demo` shows it all without any file of yours.
    """


def main(args: Sequence[str] | None = None) -> None:
    """The entry point. Errors that name their way out are printed without a traceback and exit with 1."""
    try:
        accredit.main(args=None if args is None else list(args), prog_name="accredit", standalone_mode=True)
    except Exception as error:
        if not is_for_the_operator(error):
            raise
        click.echo(f"accredit: {error}", err=True)
        sys.exit(1)


def is_for_the_operator(error: Exception) -> bool:
    """Whether the error belongs to one of the trees whose messages are written to be shown as they are."""
    trees = {
        "console.errors": "ConsoleError",
        "deploy.local.errors": "LocalServiceError",
        "schemas.errors": "SchemaError",
        "ingest.errors": "IngestError",
        "processors.errors": "ProcessorError",
        "sinks.clickhouse.errors": "SinkError",
    }
    names = {f"{base.__module__}.{base.__name__}" for base in type(error).__mro__}
    return any(f"{module}.{name}" in names for module, name in trees.items())
