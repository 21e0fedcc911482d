"""`accredit audit`: every received event ends as exactly one of accepted, duplicate or dead letter (DESIGN 1.6).

The log is the truth, so it is asked first: which records there are. Then ClickHouse: which of them it has, and what
became of them. What is still on its way (behind the commits of attribution or of the sink) is counted apart; what is
neither there nor on its way is unexplained.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from console.installation import Installation
from console.options import data_option, format_option, running
from console.report import end_of, time_of
from schemas.codec import decode
from schemas.errors import BadFrame
from schemas.records import Adjustment, Click, Conversion, DeadLetter
from schemas.times import HOUR, format_time
from schemas.topics import CLICKS, CONVERSIONS, CREDITS, DEAD_LETTERS

if TYPE_CHECKING:
    from console.lag import Broker, Offset, Place
    from sinks.clickhouse.audit import Balance

COLUMNS = (
    "hour",
    "door",
    "kind",
    "received",
    "accepted",
    "duplicates",
    "dead_letters",
    "credited",
    "unattributed",
    "unexplained",
)
WRITTEN_WITHIN_S = 15.0
ASKED_AGAIN_S = 0.2
REFUSED_AT_THE_DOOR = ("ingest", "load")


class Unexplained(NamedTuple):
    """Something that should be there and is not. ``at`` is when it was received (ms), 0 where nothing tells."""

    what: str
    at: int
    door: str
    kind: str
    detail: str
    lacks_row: bool = True
    """Whether it is not among the rows that were counted as received."""


class Findings(NamedTuple):
    """The audit: a line per door, hour and kind, what is unexplained, and how much is still on its way."""

    lines: list[tuple[Any, ...]]
    unexplained: list[Unexplained]
    on_its_way: int


@click.command()
@data_option
@click.option("--from", "from_at", callback=time_of, metavar="TIME", help="Received from this day (UTC) or time on.")
@click.option("--to", "to_at", callback=end_of, metavar="TIME", help="Received up to this day or before this time.")
@format_option("table", "json", "csv")
@click.pass_context
def audit(ctx: click.Context, data: Path | None, from_at: int | None, to_at: int | None, form: str) -> None:
    """Prove that nothing was lost: received = accepted + duplicates + dead letters, per door and hour.

    \b
        accredit audit
        accredit audit --from 2026-05-01 --to 2026-05-01

    Compares the records in Kafka with the rows in ClickHouse, one by one, and every accepted conversion with its
    credit. Exits with 1 and lists what is unexplained, if anything is.
    """
    from console.tables import print_rows

    found = examine(running(data), from_at, to_at)
    print_rows(COLUMNS, found.lines, form, title="Received events" if form == "table" else None)
    if found.on_its_way:
        click.echo(f"\n{found.on_its_way:,} records are still on their way; see `accredit status`.", err=True)
    if not found.unexplained:
        click.echo("\nEverything received is accounted for.", err=True)
        return
    click.echo(f"\n{len(found.unexplained):,} unexplained:", err=True)
    for each in found.unexplained:
        click.echo(f"  {each.what}: {each.detail}", err=True)
    ctx.exit(1)


def examine(installation: Installation, from_at: int | None = None, to_at: int | None = None) -> Findings:
    """Audit what was received in ``[from_at, to_at)`` (ms; None: no bound)."""
    import clickhouse_connect

    from console.lag import ATTRIBUTION, SINK, Broker
    from sinks.clickhouse import audit as rows
    from sinks.clickhouse.reports import Period

    broker = Broker(installation.broker())
    database = "accredit"
    ends = broker.offsets([*rows.AUDITED, DEAD_LETTERS])
    written = broker.committed(SINK)
    decided = broker.committed(ATTRIBUTION)
    client = clickhouse_connect.get_client(dsn=installation.server())
    try:
        lost = list(lost_records(client, database, ends, written))
        letters = list(read_records(broker.kafka, [(p, o.low, o.end) for p, o in ends.items() if p[0] == DEAD_LETTERS]))
        unexplained = [name_record(broker.kafka, place, offset) for place, offset in lost]
        written_letters = [value for place, offset, value in letters if offset < written.get(place, 0)]
        unexplained += lost_letters(written_letters, rows.dead_letter_ids(client, database))
        refused = {c.conversion_id for letter in written_letters if (c := refused_conversion(letter)) is not None}
        lacking, unsure = lacking_credits(client, database, broker, decided, refused)
        unexplained += lacking
        balances = rows.balances(client, database, Period(from_at, to_at))
    finally:
        client.close()
    wanted = [u for u in unexplained if not u.at or within(u.at, from_at, to_at)]
    on_its_way = sum(max(offset.end - written.get(place, offset.low), 0) for place, offset in ends.items())
    on_its_way += sum(
        max(written.get(place, 0) - decided.get(place, offset.low), 0)
        for place, offset in ends.items()
        if place[0] in (CLICKS, CONVERSIONS)
    )
    on_its_way += unsure
    return Findings(lines(balances, door_letters(written_letters, from_at, to_at), wanted), wanted, on_its_way)


def lacking_credits(
    client: Any, database: str, broker: Broker, decided: Mapping[Place, int], refused: Collection[str]
) -> tuple[list[Unexplained], int]:
    """Decided conversions whose credit, or its newest version, ClickHouse lacks; and of how many it cannot be said yet.

    Credits come to ClickHouse by themselves. So what seems to be missing is asked for again when all credits that Kafka
    has now are written.
    """
    from console.lag import SINK, behind
    from sinks.clickhouse import audit as rows

    def ask() -> list[Unexplained]:
        found = []
        for each in rows.uncredited(client, database):
            if each.conversion_id in refused or each.offset >= decided.get((CONVERSIONS, each.partition), 0):
                continue
            said = f"order {each.order_id!r} has no credit ({CONVERSIONS} {each.partition}:{each.offset})"
            found.append(Unexplained("conversion", each.received_at, each.door, "conversion", said, lacks_row=False))
        for late in rows.unwritten(client, database):
            said = f"order {late.order_id!r} lacks version {late.version} of its credit (session {late.session_id})"
            found.append(Unexplained("credit", late.received_at, "", "credit", said, lacks_row=False))
        return found

    suspects = ask()
    if not suspects:
        return [], 0
    ends = broker.offsets([CREDITS])
    deadline = time.monotonic() + WRITTEN_WITHIN_S
    while behind(ends, broker.committed(SINK), [CREDITS]):
        if time.monotonic() > deadline:
            return [], len(suspects)
        time.sleep(ASKED_AGAIN_S)
    still = set(ask())
    return [each for each in suspects if each in still], 0


def within(at: int, from_at: int | None, to_at: int | None) -> bool:
    return (from_at is None or at >= from_at) and (to_at is None or at < to_at)


def lost_records(
    client: Any, database: str, ends: Mapping[Place, Offset], written: Mapping[Place, int]
) -> Iterator[tuple[Place, int]]:
    """Records below the sink's commit of which ClickHouse has neither a row nor a dead letter."""
    from sinks.clickhouse import audit as rows

    for topic in rows.AUDITED:
        reach = {place[1]: written.get(place, 0) for place in ends if place[0] == topic}
        there = rows.counts(client, database, topic, reach)
        for partition, end in reach.items():
            low = ends[topic, partition].low
            if there[partition] < end - low:
                for offset in rows.missing(client, database, topic, partition, low, end):
                    yield (topic, partition), offset


def read_records(kafka: str, spans: Iterable[tuple[Place, int, int]]) -> Iterator[tuple[Place, int, bytes]]:
    """The values of offsets ``[low, end)`` of each place, with their places. TimeoutError if Kafka stops answering."""
    from confluent_kafka import Consumer, TopicPartition

    left = {place: end for place, low, end in spans if end > low}
    starts = [TopicPartition(place[0], place[1], low) for place, low, end in spans if end > low]
    if not left:
        return
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "accredit-audit", "enable.auto.commit": False})
    try:
        consumer.assign(starts)
        while left:
            message = consumer.poll(30)
            if message is None:
                raise TimeoutError(f"Kafka at {kafka} stopped answering while its records were read")
            if message.error() is not None:
                raise TimeoutError(f"Kafka at {kafka}: {message.error()}")
            place, offset = (str(message.topic()), int(message.partition() or 0)), int(message.offset() or 0)
            if place in left:
                if offset < left[place]:
                    yield place, offset, bytes(message.value() or b"")
                if offset + 1 >= left[place]:
                    del left[place]
    finally:
        consumer.close()


def name_record(kafka: str, place: Place, offset: int) -> Unexplained:
    """A record of the log that ClickHouse lacks, by what the log says of it."""
    where = f"{place[0]} {place[1]}:{offset} is in Kafka and not in ClickHouse"
    value = next((value for _, _, value in read_records(kafka, [(place, offset, offset + 1)])), b"")
    try:
        record = decode(value)
    except BadFrame as error:
        return Unexplained("record", 0, "", place[0], f"{where} ({error.detail})")
    if isinstance(record, Click):
        return Unexplained(record.type, record.received_at, record.door, record.type, f"{where} ({record.click_id})")
    assert isinstance(record, Conversion | Adjustment)
    kind = "conversion" if isinstance(record, Conversion) else "adjustment"
    return Unexplained(kind, record.received_at, record.door, kind, f"{where} (order {record.order_id!r})")


def dead_letter(value: bytes) -> DeadLetter | None:
    try:
        record = decode(value)
    except BadFrame:
        return None
    return record if isinstance(record, DeadLetter) else None


def lost_letters(values: Iterable[bytes], there: set[str]) -> Iterator[Unexplained]:
    """Dead letters of the log that ClickHouse lacks."""
    letters = {letter.dead_letter_id: letter for value in values if (letter := dead_letter(value)) is not None}
    for name in letters.keys() - there:
        letter = letters[name]
        detail = f"{name} ({letter.reason}) is in Kafka and not in ClickHouse"
        yield Unexplained("dead letter", letter.received_at, letter.door or letter.stage, "dead letter", detail)


def refused_conversion(value: bytes) -> Conversion | None:
    """The conversion that attribution refused, if that is what a dead letter is about."""
    letter = dead_letter(value)
    if letter is None or letter.stage != "attribution":
        return None
    try:
        record = decode(letter.original)
    except BadFrame:
        return None
    return record if isinstance(record, Conversion) else None


def door_letters(values: Iterable[bytes], from_at: int | None, to_at: int | None) -> Counter[tuple[int, str]]:
    """(hour, door) → events that were refused at the door."""
    letters = {letter.dead_letter_id: letter for value in values if (letter := dead_letter(value)) is not None}
    return Counter(
        (letter.received_at // HOUR * HOUR, letter.door or letter.stage)
        for letter in letters.values()
        if letter.stage in REFUSED_AT_THE_DOOR and within(letter.received_at, from_at, to_at)
    )


def lines(
    balances: Iterable[Balance], refused: Counter[tuple[int, str]], unexplained: Iterable[Unexplained]
) -> list[tuple[Any, ...]]:
    """The audit's table. What is unexplained was received, too."""
    table: dict[tuple[int, str, str], list[int]] = {}
    for b in balances:
        numbers = [b.received, b.accepted, b.duplicates, 0, b.credited, b.unattributed, 0]
        table[b.hour, b.door, b.kind] = numbers
    for (hour, door), count in refused.items():
        table[hour, door, "refused"] = [count, 0, 0, count, 0, 0, 0]
    for each in unexplained:
        row = table.setdefault((each.at // HOUR * HOUR, each.door, each.kind), [0] * 7)
        row[-1] += 1
        row[0] += each.lacks_row
    return [(format_time(hour), door, kind, *numbers) for (hour, door, kind), numbers in sorted(table.items())]
