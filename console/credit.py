"""``accredit credit``: the crediting rules over a file of events, offline, without any service."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any

import click
import orjson

from processors.core.offline import Conflict, History
from processors.core.public import public_credit
from processors.core.session import Refusal
from processors.core.terms import OneCatalog
from schemas.catalog import Catalog, load_catalog
from schemas.errors import CatalogInvalid, InvalidEvent
from schemas.events import parse_event
from schemas.records import Adjustment, Conversion
from schemas.records import Click as ClickRecord

DOOR = "file"


class Line:
    """One line of the input: its bytes without the line end, its number from 1."""

    __slots__ = ("number", "raw")

    def __init__(self, number: int, raw: bytes) -> None:
        self.number = number
        self.raw = raw


class DeadLetters:
    """Where refused lines go: the file, if one is named, and a count for the closing line."""

    def __init__(self, out: IO[bytes] | None) -> None:
        self.out = out
        self.count = 0

    def add(self, line: Line, reason: str, field: str | None, detail: str, **more: Any) -> None:
        """One line with the reason, what is wrong, and the original."""
        self.count += 1
        if self.out is None:
            return
        letter = {"reason": reason, "field": field, "detail": detail, "line": line.number}
        letter |= {"original": line.raw.decode("utf-8", "backslashreplace"), **more}
        self.out.write(orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE))


@click.command()
@click.option("--catalog", "catalog_path", required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE")
@click.option("--dead-letters", type=click.File("wb"), metavar="FILE", help="Write what is refused here, a line each.")
@click.argument("events", type=click.File("rb"), metavar="EVENTS.ndjson")
def credit(catalog_path: str, dead_letters: IO[bytes] | None, events: IO[bytes]) -> None:
    """Credit the conversions of a file: one line of JSON per conversion on standard output.

    EVENTS.ndjson has one event a line; - reads standard input. The rules, the order of the lines and the result are
    those of the running pipeline, but nothing has to run.

    \b
    Example:
      accredit credit --catalog catalog.yaml events.ndjson
      zcat export.ndjson.gz | accredit credit --catalog catalog.yaml --dead-letters refused.ndjson -
    """
    try:
        with open(catalog_path, encoding="utf-8") as file:
            catalog = load_catalog(file.read(), catalog_path, refuse_overlaps=False)
    except (CatalogInvalid, UnicodeDecodeError) as error:
        raise click.ClickException(f"the catalog cannot be used:\n{error}") from None
    refused = DeadLetters(dead_letters)
    gc.disable()  # millions of records and no cycles: collecting would only walk them, a third of the time
    for shape in credit_lines(catalog, read_lines(events), refused):
        sys.stdout.buffer.write(orjson.dumps(shape, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()
    if refused.count:
        where = f"see {dead_letters.name}" if dead_letters is not None else "name --dead-letters FILE to keep them"
        click.echo(f"{refused.count} lines were refused; {where}", err=True)


def read_lines(stream: IO[bytes]) -> Iterator[Line]:
    """The lines that are not blank."""
    for number, raw in enumerate(stream, 1):
        text = raw.rstrip(b"\r\n")
        if text.strip():
            yield Line(number, text)


def credit_lines(catalog: Catalog, lines: Iterable[Line], refused: DeadLetters) -> Iterator[dict[str, Any]]:
    """Public credits in order of ``occurred_at``, then order id. What is refused goes to ``refused`` by line."""
    log = OneCatalog(catalog)
    offers = log.only.offers
    history = History()
    first_of_click: dict[str, tuple[int, str]] = {}  # of a click id in two sessions the one received first
    waiting: list[tuple[Line, dict[str, Any]]] = []
    for line in lines:
        try:
            fields = orjson.loads(line.raw)
        except orjson.JSONDecodeError as error:
            refused.add(line, "UNPARSEABLE", None, f"not JSON: {error}")
            continue
        if isinstance(fields, dict) and fields.get("type") == "conversion":
            waiting.append((line, fields))  # its click may stand further down
            continue
        try:
            event = parse_event(fields, received_at=None, door=DOOR)
        except InvalidEvent as error:
            refused.add(line, error.reason, error.field, error.detail)
            continue
        if isinstance(event, ClickRecord):
            if event.offer_id not in offers:
                refused.add(line, "UNKNOWN_OFFER", "offer_id", f"no offer {event.offer_id!r} in the catalog")
                continue
            received = (event.received_at, event.session_id)
            first_of_click[event.click_id] = min(first_of_click.get(event.click_id, received), received)
            history.add_click(event)
        else:
            assert isinstance(event, Adjustment)  # money after the decision: settlement's, not crediting's
    session_of_click = {click_id: session_id for click_id, (_, session_id) in first_of_click.items()}
    line_of: dict[int, Line] = {}
    for line, fields in waiting:
        try:
            event = parse_event(fields, received_at=None, door=DOOR, session_of_click=session_of_click)
        except InvalidEvent as error:
            refused.add(line, error.reason, error.field, error.detail)
            continue
        assert isinstance(event, Conversion)
        if history.add_conversion(event):
            line_of[id(event)] = line
    standings, refusals, conflicts = history.settle(log)
    for refusal in refusals:
        refuse(refused, line_of[id(refusal.conversion)], refusal)
    for conflict in conflicts:
        refuse_conflict(refused, line_of[id(conflict.conversion)], conflict)
    for standing in standings:
        yield public_credit(standing)


def refuse(refused: DeadLetters, line: Line, refusal: Refusal) -> None:
    refused.add(line, refusal.reason, refusal.field, refusal.detail)


def refuse_conflict(refused: DeadLetters, line: Line, conflict: Conflict) -> None:
    stands = conflict.stands
    detail = f"order {stands.order_id!r} came first with {stands.amount} {stands.currency}"
    kept = {"amount": stands.amount, "currency": stands.currency, "session_id": stands.session_id}
    refused.add(line, "CONFLICT", "amount", detail, stands=kept)
