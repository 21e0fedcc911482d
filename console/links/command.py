"""`accredit link`: build, check, try tracking links; their QR codes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from console.errors import ConsoleError
from console.options import data_option, format_option, running

if TYPE_CHECKING:
    from console.links.address import Ground
    from console.links.check import Finding
    from console.links.story import Step

Command = TypeVar("Command", bound=Callable[..., Any])
COLOURS = {"error": "red", "warning": "yellow"}


def ground_options(command: Command) -> Command:
    """``--data``, ``--catalog`` and ``--base``."""
    options = (
        click.option(
            "--base",
            metavar="URL",
            help="The tracking domain. [default: links.base_url of ingest.yaml, else what runs]",
        ),
        click.option(
            "--catalog",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Judge by this file, with nothing running. [default: the catalog in effect]",
        ),
        data_option,
    )
    for option in options:
        command = option(command)
    return command


@click.group()
def link() -> None:
    """Tracking links and influencers' short links: build, check and try them; QR codes.

    \b
        accredit link build --offer shoes --partner anna --sub1 story
        accredit link check 'https://go.example.com/c/shoes?partner=anna'
        accredit link test 'https://go.example.com/l/anna' --amount 59.90
        accredit link qr anna --out anna.svg

    A test follows the link in this process, on the real code: nothing is recorded. With --catalog FILE and --base URL
    nothing has to run.
    """


@link.command()
@ground_options
@click.option("--offer", "offer_id", required=True, metavar="ID")
@click.option("--partner", "partner_id", required=True, metavar="ID")
@click.option("--source", metavar="TEXT")
@click.option("--sub1", metavar="TEXT")
@click.option("--sub2", metavar="TEXT")
@click.option("--sub3", metavar="TEXT")
@click.option("--sub4", metavar="TEXT")
@click.option("--sub5", metavar="TEXT")
@click.option("--promo-code", metavar="CODE")
@click.option("--url", metavar="URL", help="Deep link: a page on one of the offer's deep_link_domains.")
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", help="Any other parameter, like utm_source=mail."
)
def build(
    data: Path | None,
    catalog: Path | None,
    base: str | None,
    offer_id: str,
    partner_id: str,
    params: Sequence[str],
    **named: str,
) -> None:
    """Print a link for a partner and an offer. What is wrong with it is told on standard error; then exit code 1."""
    from console.links.address import build as built

    ground = find_ground(data, catalog, base)
    pairs = list(named.items())
    for param in params:
        name, equals, value = param.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{param!r} is not NAME=VALUE", param_hint="--param")
        pairs.append((name, value))
    address = built(ground.base, offer_id, partner_id, pairs)
    click.echo(address)
    finish(findings(address, ground))


@link.command()
@ground_options
@click.argument("url")
def check(data: Path | None, catalog: Path | None, base: str | None, url: str) -> None:
    """Say what is wrong with a link: offer, partner, contract, dates, deep link, parameters. Exit code 1 if it is."""
    found = findings(url, find_ground(data, catalog, base))
    if not found:
        click.secho("This link is good.", fg="green")
    finish(found, err=False)


@link.command()
@ground_options
@format_option("text", "json")
@click.option("--goal", "goals", multiple=True, help="Of the imagined conversion. [default: those of the contracts]")
@click.option("--amount", default="100.00", show_default=True, help="Of the imagined conversion.")
@click.option("--promo-code", metavar="CODE", help="On the imagined conversion.")
@click.option("--address", metavar="IP", help="Where the visitor comes from.")
@click.option("--user-agent", metavar="TEXT", help="The visitor's browser.")
@click.argument("url")
def test(
    data: Path | None,
    catalog: Path | None,
    base: str | None,
    form: str,
    goals: Sequence[str],
    amount: str,
    promo_code: str | None,
    address: str | None,
    user_agent: str | None,
    url: str,
) -> None:
    """Follow a link step by step: what would be recorded, where it goes, what a conversion would do."""
    from console.links.address import read_address
    from console.links.story import told
    from console.links.trial import ADDRESS, AGENT, Sale, try_link
    from schemas.money import parse_amount

    try:
        parse_amount(amount)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--amount") from None
    ground = find_ground(data, catalog, base)
    found = findings(url, ground)
    where = read_address(url, ground.base)
    steps: list[Step] = []
    if where is not None:
        sale = Sale(goals, amount, promo_code)
        trial = try_link(where, ground, now(), sale, client=address or ADDRESS, agent=user_agent or AGENT)
        steps = told(trial, ground, sale)
    if form == "json":
        shape = {"steps": [step._asdict() for step in steps], "findings": [each._asdict() for each in found]}
        click.echo(json.dumps(shape, indent=1, ensure_ascii=False))
        sys.exit(failed(found))
    for number, step in enumerate(steps, 1):
        click.secho(f"{number}. {step.title}", bold=True)
        width = max((len(name) for name, _ in step.facts), default=0)
        for name, value in step.facts:
            click.echo(f"   {name.ljust(width)}  {value}" if width else f"   {value}")
    finish(found, err=False)


@link.command()
@ground_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A .svg or .png. [default: the terminal]",
)
@click.argument("what", metavar="SLUG|URL")
def qr(data: Path | None, catalog: Path | None, base: str | None, out: Path | None, what: str) -> None:
    """The QR code of a short link, by its slug, or of any link."""
    import segno

    from ingest.qr import TYPES, qr_code

    ground = find_ground(data, catalog, base)
    address = what if ":" in what or "/" in what else f"{ground.base}/l/{what.lower()}"
    if address.startswith("/"):
        address = ground.base + address
    found = findings(address, ground)
    if failed(found):
        finish(found)
    if out is None:
        segno.make(address, error="m", micro=False).terminal(compact=True)
        click.echo(address)
        return
    kind = out.suffix.lstrip(".").lower()
    if kind not in TYPES:
        raise click.BadParameter(f"{out.name} ends neither in .svg nor in .png", param_hint="--out")
    out.write_bytes(qr_code(address, kind))
    click.echo(f"{address} → {out}")


def find_ground(data: Path | None, catalog: Path | None, base: str | None) -> Ground:
    """By what the link is judged. ConsoleError where nothing says it."""
    from console.links.ground import ground_of, ground_of_file

    if catalog is None:
        return ground_of(running(data), base)
    from console.settings import read_settings

    try:
        return ground_of_file(catalog, data or read_settings().data, base)
    except UnicodeDecodeError as error:
        raise ConsoleError(f"{catalog} is not UTF-8 text ({error.reason} at byte {error.start}).") from None


def findings(url: str, ground: Ground) -> list[Finding]:
    from console.links.check import check as checked

    return checked(url, ground, now())


def now() -> int:
    return time.time_ns() // 1_000_000


def failed(found: Sequence[Finding]) -> bool:
    return any(finding.level == "error" for finding in found)


def finish(found: Sequence[Finding], *, err: bool = True) -> None:
    """Tell what was found; exit with 1 where something is wrong."""
    for finding in found:
        click.secho(f"{finding.level}: ", fg=COLOURS[finding.level], nl=False, err=err)
        click.echo(finding.text, err=err)
    if failed(found):
        sys.exit(1)
