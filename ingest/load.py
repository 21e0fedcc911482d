"""Loading NDJSON from a file or a stream: ``accredit load``. The same checks as ``POST /v1/events``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import orjson

from ingest.catalog_index import CatalogIndex
from ingest.catalog_log import now_ms, read_catalog_log
from ingest.envelope import Message
from ingest.errors import NoCatalog
from ingest.intake import Intake
from schemas.errors import InvalidEvent
from schemas.ids import ClickIdKeys

DOOR = "load"
STAGE = "load"
LINE_LIMIT = 1 << 20
PROBLEMS_SHOWN = 20
PROGRESS_EVERY = 2_000
OnProgress = Callable[[int, int], None]


class BlockingPublisher(Protocol):
    """What loading needs of ``ingest.bulk_publisher.BulkPublisher``."""

    def publish(self, message: Message) -> None: ...

    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A line that was refused. ``line`` counts from 1."""

    line: int
    reason: str
    field: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of a file. ``kinds``: events by kind; ``reasons``: refused lines by reason; the first problems."""

    lines: int
    size: int
    accepted: int
    rejected: int
    kinds: Mapping[str, int]
    reasons: Mapping[str, int]
    first_problems: tuple[LineProblem, ...]


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream, in bounded memory: of a line longer than a mebibyte the first mebibyte and a bit."""
    while line := stream.readline(LINE_LIMIT + 1):
        yield line
        while len(line) > LINE_LIMIT and not line.endswith(b"\n"):
            line = stream.readline(LINE_LIMIT + 1)


def intake_now(kafka: str, keys: ClickIdKeys, timeout_s: float = 30.0) -> Intake:
    """An intake with the catalog that is in effect now. NoCatalog, KafkaUnreachable."""
    versions = read_catalog_log(kafka, timeout_s)
    if versions.latest is None:
        raise NoCatalog
    index = CatalogIndex.of(*versions.in_effect(now_ms()))
    return Intake(keys, lambda _: index)


def load_file(
    lines: Iterable[bytes],
    publisher: BlockingPublisher,
    intake: Intake,
    *,
    received_at_kept: bool = False,
    on_progress: OnProgress | None = None,
) -> LoadResult:
    """Publish every line, refused ones as dead letters, and return when Kafka has acknowledged all.

    ``received_at`` is stamped now unless the events' own is kept (an export that is restored). ``on_progress`` gets
    lines and bytes so far. NotAcknowledged when Kafka stays away: loading the file again is safe, the same events are
    the same (click ids and conversion ids are derived from their content where none is given).
    """
    kinds: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    problems: list[LineProblem] = []
    number = size = 0
    for number, line in enumerate(lines, 1):
        size += len(line)
        if number % PROGRESS_EVERY == 0 and on_progress is not None:
            on_progress(number, size)
        text = line.strip() if number > 1 else line.removeprefix(b"\xef\xbb\xbf").strip()
        if not text:
            continue
        now = now_ms()
        try:
            event = intake.accept(parse_line(text), now=now, door=DOOR, received_at_kept=received_at_kept)
        except InvalidEvent as error:
            reasons[error.reason] += 1
            if len(problems) < PROBLEMS_SHOWN:
                problems.append(LineProblem(number, error.reason, error.field, error.detail))
            located = InvalidEvent(error.reason, error.field, f"line {number}: {error.detail}")
            publisher.publish(intake.refuse(located, line.rstrip(b"\r\n"), now=now, door=DOOR, stage=STAGE))
        else:
            kinds[event.kind] += 1
            publisher.publish(event.message)
    publisher.flush()
    if on_progress is not None:
        on_progress(number, size)
    return LoadResult(number, size, kinds.total(), reasons.total(), kinds, reasons, tuple(problems))


def parse_line(text: bytes) -> object:
    if len(text) > LINE_LIMIT:
        raise InvalidEvent("EVENT_TOO_LARGE", None, f"the line has more than {LINE_LIMIT} bytes")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidEvent("INVALID_JSON", None, f"not JSON: {error}") from None
