"""Loading rows of a file or a stream: ``accredit load``. The same checks as ``POST /v1/events``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from ingest.catalog_index import CatalogIndex
from ingest.catalog_log import now_ms, read_catalog_log
from ingest.envelope import Message
from ingest.errors import NoCatalog
from ingest.intake import Intake
from ingest.loading.mapping import ColumnMapping
from ingest.loading.progress import Progress
from ingest.loading.rows import Row
from ingest.privacy.keeper import Keeper
from schemas.errors import InvalidEvent
from schemas.ids import ClickIdKeys

DOOR = "load"
STAGE = "load"
PROBLEMS_SHOWN = 20
PROGRESS_EVERY = 2_000
CHECKPOINT_S = 2.0
OnProgress = Callable[[int], None]
OnCheckpoint = Callable[[Progress], None]


class BlockingPublisher(Protocol):
    """What loading needs of ``ingest.bulk_publisher.BulkPublisher``."""

    def publish(self, message: Message) -> None: ...

    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that was refused. ``line``: its line from 1, or its row in Parquet."""

    line: int
    reason: str
    field: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of a file. ``kinds``: events by kind; ``reasons``: refused rows by reason; the first problems.

    What an earlier, killed load had done of it is counted too, but for the problems.
    """

    rows: int
    accepted: int
    rejected: int
    kinds: Mapping[str, int]
    reasons: Mapping[str, int]
    first_problems: tuple[RowProblem, ...]


def intake_now(kafka: str, keys: ClickIdKeys, timeout_s: float = 30.0, keeper: Keeper | None = None) -> Intake:
    """An intake with the catalog that is in effect now. NoCatalog, KafkaUnreachable."""
    versions = read_catalog_log(kafka, timeout_s)
    if versions.latest is None:
        raise NoCatalog
    index = CatalogIndex.of(*versions.in_effect(now_ms()))
    return Intake(keys, lambda _: index, keeper)


def load_file(
    rows: Iterable[Row],
    publisher: BlockingPublisher,
    intake: Intake,
    *,
    mapping: ColumnMapping | None = None,
    received_at_kept: bool = False,
    done: Progress | None = None,
    on_progress: OnProgress | None = None,
    on_checkpoint: OnCheckpoint | None = None,
) -> LoadResult:
    """Publish every row, refused ones as dead letters, and return when Kafka has acknowledged all.

    ``received_at`` is stamped now unless the events' own is kept (an export that is restored). ``done``: what an
    earlier load has acknowledged; ``rows`` begin after it. ``on_progress`` gets the number of the row just done,
    ``on_checkpoint`` every two seconds what is acknowledged up to there. NotAcknowledged when Kafka stays away. Rows
    that are loaded twice are harmless: click ids and conversion ids are derived from content where none is given.
    """
    progress = done or Progress()
    kinds, reasons = progress.kinds, progress.reasons
    problems: list[RowProblem] = []
    checkpoint_at = time.monotonic() + CHECKPOINT_S
    for count, row in enumerate(rows, 1):
        now = now_ms()
        try:
            if row.problem is not None:
                raise row.problem
            fields = row.fields if mapping is None else mapping.event(row.fields)
            event = intake.accept(fields, now=now, door=DOOR, received_at_kept=received_at_kept)
        except InvalidEvent as error:
            reasons[error.reason] += 1
            if len(problems) < PROBLEMS_SHOWN:
                problems.append(RowProblem(row.number, error.reason, error.field, error.detail))
            located = InvalidEvent(error.reason, error.field, f"line {row.number}: {error.detail}")
            original = row.original or written_again(row.fields)
            publisher.publish(intake.refuse(located, original, now=now, door=DOOR, stage=STAGE))
        else:
            kinds[event.kind] += 1
            publisher.publish(event.message)
        progress.number = row.number
        if count % PROGRESS_EVERY == 0:
            if on_progress is not None:
                on_progress(row.number)
            if on_checkpoint is not None and time.monotonic() > checkpoint_at:
                publisher.flush()
                on_checkpoint(progress)
                checkpoint_at = time.monotonic() + CHECKPOINT_S
    publisher.flush()
    if on_progress is not None:
        on_progress(progress.number)
    accepted, rejected = kinds.total(), reasons.total()
    return LoadResult(accepted + rejected, accepted, rejected, kinds, reasons, tuple(problems))


def written_again(fields: Any) -> bytes:
    """A row without bytes of its own, as JSON."""
    return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS)
