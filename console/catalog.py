"""`accredit catalog`: apply a catalog, show which one holds when."""

from __future__ import annotations

import getpass
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.errors import ConsoleError
from console.installation import Installation
from console.options import data_option, format_option, running
from console.probe import health
from schemas.times import format_time, parse_time

if TYPE_CHECKING:
    from schemas.catalog import CatalogLog
    from schemas.catalog.diff import Change

READ_TIMEOUT_S = 15.0
FOLLOWED_S = 15.0
"""How long applying waits for the processes to have taken notice of the first version."""
SHOWN_FIELDS = 6


@click.group()
def catalog() -> None:
    """Advertisers, offers, partners, contracts and promo codes: one YAML file, kept as numbered versions.

    \b
        accredit catalog apply catalog.yaml --dry-run     what would change
        accredit catalog apply catalog.yaml               change it; returns when it is in effect
        accredit catalog history
        accredit catalog show --at 2026-05-01T00:00:00Z

    A conversion is decided under the version in effect when it was received; later versions change nothing about it.
    """


@catalog.command()
@data_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
def apply(data: Path | None, file: Path, dry_run: bool) -> None:
    """Make FILE the catalog. Shows what changes, and returns when it is in effect."""
    from ingest.catalog_log import publish_catalog, read_catalog_log
    from schemas.catalog import load_catalog

    text = sys.stdin.read() if str(file) == "-" else read_text(file)
    new = load_catalog(text, str(file))
    installation = running(data)
    kafka = installation.broker()
    log = read_catalog_log(kafka, READ_TIMEOUT_S)
    old = log.catalog(log.latest.version) if log.latest else None
    from schemas.catalog.diff import diff

    changes = diff(old, new)
    show_changes(changes)
    at = log.latest.version if log.latest else 0
    if at and not changes:
        click.echo(f"Nothing changes: version {at} says the same.")
        return
    if dry_run:
        click.echo(f"Not applied (--dry-run). It would be version {at + 1}.")
        return
    version = publish_catalog(kafka, text, author())
    click.echo(f"Version {version.version} takes effect at {format_time(version.effective_at)} (UTC).")
    wait_until(version.effective_at)
    if version.version == 1:
        await_followers(installation)
    click.secho(f"Version {version.version} is in effect.", fg="green")


@catalog.command()
@data_option
@click.option("--at", metavar="TIME", help="The one in effect at this time, like 2026-05-01T00:00:00Z. [default: now]")
@click.option("--version", "number", type=click.IntRange(1), help="The one of this number.")
def show(data: Path | None, at: str | None, number: int | None) -> None:
    """Print a catalog as it was applied: by number, by time, else the one in effect now."""
    log = read_log(data)
    if number is None:
        try:
            moment = int(time.time() * 1_000) if at is None else parse_time(at)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--at") from None
        number, _ = log.in_effect(moment)
    if number > len(log.versions):
        raise ConsoleError(f"there is no version {number}; the newest is {len(log.versions)}.")
    version = log.versions[number - 1]
    since = format_time(version.effective_at)
    click.echo(f"# version {version.version}, in effect from {since}, by {version.author}", err=True)
    click.echo(version.document.rstrip("\n"))


@catalog.command()
@data_option
@format_option("table", "json", "csv")
def history(data: Path | None, form: str) -> None:
    """All versions: when each took effect, who applied it, what it changed."""
    from console.tables import print_rows
    from schemas.catalog.diff import diff

    log = read_log(data)
    rows = []
    for version in log.versions:
        before = log.catalog(version.version - 1) if version.version > 1 else None
        signs = [change.sign for change in diff(before, log.catalog(version.version))]
        counts = " ".join(f"{sign}{signs.count(sign)}" for sign in "+~-" if sign in signs)
        rows.append((version.version, format_time(version.effective_at), version.author, counts, version.digest[:12]))
    print_rows(("version", "in_effect_from", "author", "changes", "digest"), rows, form)


def read_log(data: Path | None) -> CatalogLog:
    """The catalog log. ConsoleError while there is no version."""
    from ingest.catalog_log import read_catalog_log

    log = read_catalog_log(running(data).broker(), READ_TIMEOUT_S)
    if log.latest is None:
        raise ConsoleError("no catalog has been applied yet; do so with `accredit catalog apply catalog.yaml`.")
    return log


def read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConsoleError(f"{file} is not UTF-8 text ({error.reason} at byte {error.start}).") from None


def author() -> str:
    """Who applies: the user's name on this machine, for the history."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):
        return socket.gethostname()


def show_changes(changes: list[Change]) -> None:
    """The difference, coloured in a terminal."""
    colours = {"+": "green", "-": "red", "~": "yellow"}
    for change in changes:
        changed = change.sign == "~"
        click.secho(f"{change.sign} {change.kind} {change.name}", fg=colours[change.sign], bold=True, nl=changed)
        if changed:
            for field, old, new in change.fields:
                click.echo(f"    {field}: {old or '(none)'} → {new or '(none)'}")
        else:
            told = ", ".join(f"{field}: {new}" for field, _, new in change.fields[:SHOWN_FIELDS])
            more = ", …" if len(change.fields) > SHOWN_FIELDS else ""
            click.echo(f"  {told}{more}".rstrip())


def wait_until(at: int) -> None:
    """Return when the clock shows ``at`` (milliseconds)."""
    while (left := at - int(time.time() * 1_000)) > 0:
        time.sleep(min(left / 1_000 + 0.001, 1.0))


def await_followers(installation: Installation) -> None:
    """Wait until the processes that waited for a first catalog are ready; says so if they are not in time."""
    followers = ("ingest", "worker")
    processes = [p for p in installation.processes if p.name.partition("-")[0] in followers]
    waiting = {p.name: p.url for p in processes if p.url}
    deadline = time.monotonic() + FOLLOWED_S
    while waiting and time.monotonic() < deadline:
        waiting = {name: url for name, url in waiting.items() if not health(url).ready}
        time.sleep(0.05 if waiting else 0)
    for name, url in waiting.items():
        click.secho(f"{name} is not ready yet: {health(url).reason}", fg="yellow", err=True)
