"""`accredit dead-letters`: what could not be used, why, its original bytes, and trying again."""

from __future__ import annotations

import time
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from console.errors import ConsoleError
from console.installation import Installation
from console.options import data_option, format_option, running
from schemas.errors import BadFrame, InvalidEvent
from schemas.records import Adjustment, Conversion, DeadLetter
from schemas.times import format_time

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from ingest.bulk_publisher import BulkPublisher
    from ingest.conversion_config import PostbackConfig
    from ingest.intake import Intake

COLUMNS = ("id", "received_at", "stage", "door", "reason", "field", "detail", "place", "withdrawn")
EXCERPT = 120


class NoSuchLetter(ConsoleError):
    """Operator: `accredit dead-letters list` has the ids."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no dead letter's id begins with {name!r}; `accredit dead-letters list` shows them")


class NotRetried(ConsoleError):
    """Operator: the message says why trying again cannot help, and what can."""


class Retried(NamedTuple):
    """What trying again came to."""

    name: str
    accepted: bool
    said: str


@click.group("dead-letters")
def dead_letters() -> None:
    """What could not be used, with its reason and its original bytes.

    \b
        accredit dead-letters list --reason UNKNOWN_OFFER
        accredit dead-letters show 3f9a
        accredit dead-letters retry 3f9a            one, by the beginning of its id
        accredit dead-letters retry --reason UNKNOWN_OFFER
    """


@dead_letters.command("list")
@data_option
@click.option("--reason", help="Only those with this reason.")
@click.option("--stage", help="Only those of this stage: ingest, load, attribution, settlement, sink.")
@click.option("--all", "withdrawn", is_flag=True, help="Also those that were retried or taken back.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many, newest first.")
@format_option("table", "json", "csv")
def list_letters(
    data: Path | None, reason: str | None, stage: str | None, withdrawn: bool, limit: int, form: str
) -> None:
    """The dead letters, newest first."""
    from console.tables import print_rows

    with_client = clickhouse(running(data))
    try:
        found = read_letters(with_client, reason=reason, stage=stage, withdrawn=withdrawn, limit=limit)
    finally:
        with_client.close()
    print_rows(COLUMNS, [summary(letter) for letter in found], form)


@dead_letters.command("show")
@data_option
@click.argument("name", metavar="ID")
@click.option("--raw", is_flag=True, help="Only the original bytes, as they are, to standard output.")
def show_letter(data: Path | None, name: str, raw: bool) -> None:
    """One dead letter: everything known of it, and its original bytes. ID may be the beginning of one."""
    client = clickhouse(running(data))
    try:
        letter = one_letter(client, name)
    finally:
        client.close()
    if raw:
        click.get_binary_stream("stdout").write(letter.original)
        return
    for field in ("dead_letter_id", "reason", "detail", "field", "stage", "door", "topic", "partition", "offset"):
        click.echo(f"{field:>14}: {'' if (value := getattr(letter, field)) is None else value}")
    click.echo(f"{'received_at':>14}: {format_time(letter.received_at)}")
    click.echo(f"{'withdrawn':>14}: {'yes' if letter.withdrawn else 'no'}")
    click.echo(f"{'original':>14}: {len(letter.original):,} bytes\n")
    click.echo(readable(letter.original))


@dead_letters.command("retry")
@data_option
@click.argument("names", metavar="[ID]...", nargs=-1)
@click.option("--reason", help="All those with this reason.")
@click.pass_context
def retry_letters(ctx: click.Context, data: Path | None, names: tuple[str, ...], reason: str | None) -> None:
    """Try again: once what was wrong is mended (an offer added, say), the event is taken as if sent now.

    An accepted one is withdrawn from the dead letters, and trying it again does nothing. Exits with 1 if any was
    refused again.
    """
    if not names and reason is None:
        raise click.UsageError("name dead letters by their ids, or all of a reason with --reason")
    from console.keys import load_keys
    from console.privacy import config_in, edge_in
    from ingest.bulk_publisher import BulkPublisher
    from ingest.load import intake_now

    installation = running(data)
    postbacks = config_in(installation.data).postbacks
    client = clickhouse(installation)
    try:
        letters = [one_letter(client, name) for name in names]
        if reason is not None:
            letters += read_letters(client, reason=reason, stage=None, withdrawn=False, limit=100_000)
    finally:
        client.close()
    kafka = installation.broker()
    keeper = edge_in(installation.data).keeper
    intake = intake_now(kafka, load_keys(installation.data), keeper=keeper)
    with BulkPublisher(kafka) as publisher:
        results = [retry(letter, intake, publisher, postbacks) for letter in letters]
    for result in results:
        click.echo(f"{result.name[:12]}  {'accepted' if result.accepted else 'not accepted'}  {result.said}")
    accepted = sum(result.accepted for result in results)
    click.echo(f"{accepted:,} of {len(results):,} accepted", err=True)
    if accepted < len(results):
        ctx.exit(1)


def clickhouse(installation: Installation) -> Client:
    import clickhouse_connect

    return clickhouse_connect.get_client(dsn=installation.server())


FIELDS = (
    "dead_letter_id, version, withdrawn, reason, detail, field, stage, door, toUnixTimestamp64Milli(received_at), "
    "topic, partition, offset, toUnixTimestamp64Milli(record_at), base64Encode(ifNull(key, '')), base64Encode(original)"
)


def read_letters(
    client: Client, *, reason: str | None, stage: str | None, withdrawn: bool, limit: int, name: str = ""
) -> list[DeadLetter]:
    """Dead letters, newest first, whose id begins with ``name``; bytes travel as base64, since they are not text."""
    where = ["startsWith(dead_letter_id, {name:String})"]
    where += [] if withdrawn else ["NOT withdrawn"]
    where += [] if reason is None else ["reason = {reason:String}"]
    where += [] if stage is None else ["stage = {stage:String}"]
    rows = client.query(
        f"SELECT {FIELDS} FROM accredit.dead_letters FINAL WHERE {' AND '.join(where)} "
        "ORDER BY received_at DESC, dead_letter_id LIMIT {limit:UInt32}",
        parameters={"name": name, "reason": reason or "", "stage": stage or "", "limit": limit},
    ).result_rows
    return [DeadLetter._make((*row[:-2], b64decode(row[-2]) or None, b64decode(row[-1]))) for row in rows]


def one_letter(client: Client, name: str) -> DeadLetter:
    """The letter with that id, or the only one whose id begins so. NoSuchLetter otherwise."""
    found = read_letters(client, reason=None, stage=None, withdrawn=True, limit=2, name=name)
    if not found:
        raise NoSuchLetter(name)
    if len(found) > 1:
        raise NotRetried(f"more than one dead letter's id begins with {name!r}; give more of it")
    return found[0]


def summary(letter: DeadLetter) -> tuple[Any, ...]:
    place = "" if letter.topic is None else f"{letter.topic} {letter.partition}"
    place += "" if letter.offset is None else f":{letter.offset}"
    at = format_time(letter.received_at)
    known = (letter.stage, letter.door, letter.reason, letter.field, letter.detail[:EXCERPT], place)
    return (letter.dead_letter_id, at, *known, letter.withdrawn)


def readable(original: bytes) -> str:
    """Text as it is; a framed record by its fields; other bytes as hexadecimal."""
    from schemas.codec import decode

    try:
        return "\n".join(f"{k:>16}: {v}" for k, v in decode(original)._asdict().items())
    except BadFrame:
        pass
    try:
        return original.decode()
    except UnicodeDecodeError:
        return original.hex(" ", 4)


def retry(letter: DeadLetter, intake: Intake, publisher: BulkPublisher, postbacks: PostbackConfig) -> Retried:
    """Take the original again, received now; if it is accepted, withdraw the letter with the next version."""
    if letter.withdrawn:
        return Retried(letter.dead_letter_id, True, "is withdrawn already")
    try:
        said = send_again(letter, intake, publisher, postbacks)
    except (InvalidEvent, NotRetried) as error:
        return Retried(letter.dead_letter_id, False, str(error))
    from ingest.envelope import dead_letter_message

    publisher.publish(dead_letter_message(letter._replace(withdrawn=True, version=letter.version + 1)))
    return Retried(letter.dead_letter_id, True, said)


def send_again(letter: DeadLetter, intake: Intake, publisher: BulkPublisher, postbacks: PostbackConfig) -> str:
    """Publish the event that the letter holds. InvalidEvent says what is still wrong, NotRetried that nothing helps."""
    import orjson

    from ingest.conversion_retry import is_conversion_link, reported_again
    from schemas.codec import decode

    if letter.stage == "settlement":
        raise NotRetried("a conflict stays one; correct the order that stands with an adjustment (amend)")
    now = time.time_ns() // 1_000_000
    door = letter.door or letter.stage
    if letter.stage in ("attribution", "sink"):
        try:
            record = decode(letter.original)
        except BadFrame as error:
            raise NotRetried(f"the bytes are no record: {error.detail}") from None
        if not isinstance(record, Conversion | Adjustment):
            raise NotRetried(f"a {type(record).__name__.lower()} is not received anew; mend what refused it and replay")
        index = intake.catalog_at(now)
        again = record._replace(received_at=now)
        index.check(again)
        publisher.publish(intake.accept_record(again).message)
        return f"order {record.order_id!r} received again"
    if is_conversion_link(letter.original):
        index = intake.catalog_at(now)
        taken = [
            intake.accept(event, now=now, door=door)
            for event in reported_again(letter.original, door, postbacks, intake.keys, index, letter.received_at)
        ]
        for each in taken:
            publisher.publish(each.message)
        return ", ".join(f"{each.kind} {each.id}" for each in taken)
    try:
        fields = orjson.loads(letter.original)
    except orjson.JSONDecodeError:
        raise NotRetried(
            "the original is neither a JSON event nor a postback; its sender has to send it anew"
        ) from None
    if door in ("segment", "snowplow"):
        raise NotRetried(
            "a tracker's message is read by its mapping; mend that, and load the event or have it sent anew"
        )
    if door == "adjustments":
        from ingest.adjustments import adjustment_fields

        fields = adjustment_fields(fields, letter.received_at)
    accepted = intake.accept(fields, now=now, door=door)
    publisher.publish(accepted.message)
    return f"{accepted.kind} {accepted.id}"
