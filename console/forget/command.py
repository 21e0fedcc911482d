"""`accredit forget`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.errors import ConsoleError
from console.options import data_option, running
from schemas.times import format_time

if TYPE_CHECKING:
    from console.forget.search import Place
    from console.forget.subject import Subject
    from ingest.privacy.key_file import KeyFile


def session_of(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Sessions as the log writes them."""
    from schemas.events import to_session

    try:
        return tuple(to_session(value.strip()) for value in given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@data_option
@click.option("--session", "sessions", multiple=True, callback=session_of, metavar="ID", help="A session: its cookie.")
@click.option(
    "--customer", "customers", multiple=True, metavar="NAME", help="A customer: e-mail address, other id, hash of it."
)
@click.option(
    "--verify", is_flag=True, help="Search everything for them afterwards; exits with 1 if anything is found."
)
@click.option("--list", "listed", is_flag=True, help="Only list what was forgotten when, and who had it done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def forget(
    ctx: click.Context,
    data: Path | None,
    sessions: tuple[str, ...],
    customers: tuple[str, ...],
    verify: bool,
    listed: bool,
    yes: bool,
) -> None:
    """Make what is kept of a session or a customer unreadable, for ever and in every copy of the log.

    \b
        accredit forget --session 018f3c1e-0000-7000-8000-000000000001 --verify
        accredit forget --customer jo@shop.example --verify
        accredit forget --list

    Their keys in DATA/privacy.json are destroyed: address, user agent, referrer and parameters are ciphertext that
    nobody can open any more, in Kafka, ClickHouse, stores and copies of them. Credits and amounts stay. On several
    machines, give every ingest process the new privacy.json. A customer takes the sessions of its orders along.
    """
    from ingest.privacy.key_file import FILE, changing, forgotten, read_key_file, replace_key_file

    installation = running(data)
    path = installation.data / FILE
    try:
        keys = read_key_file(path)
    except (OSError, ValueError) as error:
        raise ConsoleError(f"{path}: {error}. It is made by the first `accredit up` or `accredit ingest`.") from None
    if listed:
        show_erasures(keys)
        return
    if not sessions and not customers:
        raise click.UsageError("name whom to forget: --session ID or --customer NAME")
    import clickhouse_connect

    from console.catalog import author
    from console.forget.subject import find_subject

    client = clickhouse_connect.get_client(dsn=installation.server())
    try:
        with changing(path):
            keys = read_key_file(path)
            subject = find_subject(client, keys.sealer(), sessions, customers)
            after = forgotten(keys, subject.keyed(), author(), int(time.time() * 1_000))
            count = len(after.erasures) - len(keys.erasures)
            click.echo(
                f"{len(subject.sessions)} sessions and {len(subject.customers)} names of customers; {count} keys."
            )
            if count:
                if not yes:
                    click.confirm("Destroy them? There is no way back.", abort=True)
                replace_key_file(path, after)
                click.secho("Forgotten.", fg="green")
            else:
                click.echo("They were forgotten already.")
        if verify and not verified(installation.broker(), client, installation.data, subject, after):
            ctx.exit(1)
    finally:
        client.close()


def verified(kafka: str, client: object, data: Path, subject: Subject, keys: KeyFile) -> bool:
    """Search, say what was found where, and whether it was nothing."""
    from console.forget.search import search
    from console.forget.traces import Traces
    from ingest.config import read_config

    file = data / "ingest.yaml"
    config = read_config(file if file.exists() else None)
    traces = Traces(subject, keys.sealer(), config.privacy.clear_params)
    return told(search(kafka, client, data, subject, traces))  # type: ignore[arg-type]


def told(places: Iterable[Place]) -> bool:
    """A line a place, as it is searched."""
    clean = True
    for place in places:
        found = "; ".join(f"{what} ({times}×)" for what, times in sorted(place.found.items()))
        clean = clean and not found
        click.secho(f"  {place.name:<28}{place.looked_at:>12,}  {found or 'nothing'}", fg="red" if found else None)
    click.secho("Nothing is left." if clean else "Not all is gone: see above.", fg="green" if clean else "red")
    return clean


def show_erasures(keys: KeyFile) -> None:
    """The record of erasures, oldest first."""
    for erasure in keys.erasures:
        click.echo(f"{format_time(erasure.at)}  {erasure.kind:<8}  {erasure.digest}  by {erasure.by}")
