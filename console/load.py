"""`accredit load`: events from a file into Kafka, resumable, with progress; on request until all can be queried."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.options import data_option, running

if TYPE_CHECKING:
    from console.installation import Installation
    from console.load_view import LoadView
    from ingest.load import LoadResult
    from ingest.loading.mapping import ColumnMapping
    from ingest.loading.progress import Progress
    from ingest.loading.source import Form, Source

WAIT_S = 600
INTERRUPTED = 130


@click.command()
@data_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--mapping",
    "mapping_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="YAML: which column is which field.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("ndjson", "csv", "parquet")),
    help="What is in FILE. [default: by its name; else ndjson]",
)
@click.option("--dry-run", is_flag=True, help="Show the first events as they would be loaded, and load nothing.")
@click.option("--restart", is_flag=True, help="Load all of it, whatever an earlier, killed load has done already.")
@click.option("--wait", is_flag=True, help="Return when all that follows from the file can be queried.")
@click.option(
    "--timeout", "timeout_s", type=float, default=WAIT_S, show_default=True, help="Seconds that --wait waits."
)
@click.option("--keep-received-at", is_flag=True, help="Keep the events' received_at: restore an export.")
@click.option("--strict", is_flag=True, help="Exit with 1 when a row was refused.")
def load(
    data: Path | None,
    file: Path,
    mapping_path: Path | None,
    form: Form | None,
    dry_run: bool,
    restart: bool,
    wait: bool,
    timeout_s: float,
    keep_received_at: bool,
    strict: bool,
) -> None:
    """Load events from FILE: NDJSON (one event a line), CSV or Parquet; - reads NDJSON from standard input.

    \b
        accredit load events.ndjson --wait
        accredit load orders.csv --mapping orders.yaml --dry-run
        accredit load clicks.parquet
        zcat export.ndjson.gz | accredit load - --keep-received-at

    gzip and zstd are read as they are. A CSV file begins with the names of its columns. Columns bear our names, or a
    mapping says which is which:

    \b
        type: conversion
        columns: {Order No: order_id, Total: amount, Bought: occurred_at, Remarks: null}
        constants: {advertiser_id: shop, goal: sale}
        defaults: {currency: EUR}
        times: {format: "%d.%m.%Y %H:%M", timezone: Europe/Berlin}

    Each row is checked as POST /v1/events checks it. What is refused is printed with its line and reason and kept as
    a dead letter with the original row; the rest goes on. A load that was interrupted or killed goes on where Kafka
    had acknowledged it when the same command is given again. Loading a file twice changes no credit: the same events
    are the same. Exits with 0 when every row is in Kafka, as an event or as a dead letter.
    """
    from console.load_view import load_view, show, show_preview, wait_for_all
    from ingest.loading.mapping import read_mapping
    from ingest.loading.preview import preview
    from ingest.loading.source import opened

    mapping = read_mapping(mapping_path)
    with opened(file, form, mapping) as source:
        mapped = mapping if mapping_path is not None or source.form != "ndjson" else None
        if dry_run:
            show_preview(preview(source.rows(0), mapped), file)
            return
        if mapped is not None and source.identity is not None:
            refuse_misread(file, form, mapped)
        installation = running(data)
        kafka = installation.broker()
        with load_view(source) as view:
            try:
                result, seconds = load_into(installation, kafka, source, file, mapped, restart, keep_received_at, view)
            except KeyboardInterrupt:
                click.echo("interrupted; the same command goes on from what Kafka has acknowledged", err=True)
                sys.exit(INTERRUPTED)
            show(result, file, seconds)
            if wait:
                wait_for_all(kafka, timeout_s, view)
    if strict and result.rejected:
        sys.exit(1)


def refuse_misread(file: Path, form: Form | None, mapping: ColumnMapping) -> None:
    """FileUnreadable when none of the first rows is an event: the mapping is wrong, not twenty rows by chance."""
    from ingest.errors import FileUnreadable
    from ingest.loading.preview import preview
    from ingest.loading.source import opened

    with opened(file, form, mapping) as source:
        found = preview(source.rows(0), mapping)
    problems = [row.problem for row in found if row.problem is not None]
    if problems and len(problems) == len(found):
        raise FileUnreadable(
            f"nothing was loaded: none of the first {len(found)} rows of {file} is an event "
            f"({problems[0].reason}: {problems[0]}). See them with --dry-run, and mend the mapping."
        )


def load_into(
    installation: Installation,
    kafka: str,
    source: Source,
    file: Path,
    mapping: ColumnMapping | None,
    restart: bool,
    keep: bool,
    view: LoadView,
) -> tuple[LoadResult, float]:
    """Load what is left of the file; how many seconds it took. AlreadyLoading, and what ``load_file`` raises."""
    from console.keys import load_keys
    from console.privacy import edge_in
    from ingest.bulk_publisher import BulkPublisher
    from ingest.load import intake_now, load_file
    from ingest.loading.progress import Progress, ProgressFile

    keeper = edge_in(installation.data).keeper
    intake = intake_now(kafka, load_keys(installation.data), keeper=keeper)
    began = time.monotonic()

    def loaded(done: Progress, kept: ProgressFile | None) -> LoadResult:
        with BulkPublisher(kafka) as publisher:
            return load_file(
                source.rows(done.number),
                publisher,
                intake,
                mapping=mapping,
                received_at_kept=keep,
                done=done,
                on_progress=view.advance,
                on_checkpoint=None if kept is None else lambda progress: kept.write(progress, str(file.absolute())),
            )

    if source.identity is None:
        return loaded(Progress(), None), time.monotonic() - began
    read_as = [cluster_of(kafka), repr(mapping), str(keep)]
    kept = ProgressFile(installation.data / "loads", source.identity(read_as))
    with kept.held():
        done = (None if restart else kept.read()) or Progress()
        if done.number:
            rows = done.kinds.total() + done.reasons.total()
            click.echo(f"going on after {rows:,} rows that are in Kafka already; --restart loads them again", err=True)
        view.begin(done.number)
        result = loaded(done, kept)
        kept.remove()
    return result, time.monotonic() - began


def cluster_of(kafka: str) -> str:
    """The cluster's own id, which stays when its address changes. BrokerUnreachable."""
    from confluent_kafka import KafkaException

    from console.errors import BrokerUnreachable
    from console.topics import TIMEOUT_S, admin_client

    try:
        return str(admin_client(kafka).list_topics(timeout=TIMEOUT_S).cluster_id)
    except KafkaException as error:
        raise BrokerUnreachable(kafka, str(error.args[0].str())) from error
