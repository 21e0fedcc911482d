"""Loading a file: what is wrong is counted, shown with its line, and kept as a dead letter."""

from __future__ import annotations

import io
from collections import Counter

import orjson
import pytest

from ingest.envelope import Message
from ingest.errors import NoCatalog
from ingest.intake import Intake
from ingest.load import PROGRESS_EVERY, RowProblem, load_file
from ingest.loading.progress import Progress
from ingest.loading.rows import LINE_LIMIT, ndjson_rows, read_lines
from schemas.codec import decode
from schemas.records import Click, DeadLetter
from schemas.times import parse_time
from tests.support.front_door import INDEX, KEYS, SESSION

CLICK = {
    "type": "click",
    "session_id": SESSION,
    "occurred_at": "2017-11-07T10:00:00Z",
    "received_at": "2017-11-07T10:00:01Z",
    "offer_id": "shoes",
    "partner_id": "anna",
}
LINE = orjson.dumps(CLICK) + b"\n"
INTAKE = Intake(KEYS, lambda _: INDEX)


class Kept:
    """A blocking publisher that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.flushed = False

    def publish(self, message: Message) -> None:
        self.messages.append(message)

    def flush(self) -> None:
        self.flushed = True


def test_good_and_bad_lines() -> None:
    kept = Kept()
    lines = [b"\xef\xbb\xbf" + LINE, b"\n", b"{oops\r\n", LINE.replace(b"shoes", b"nope"), LINE.rstrip()]
    result = load_file(ndjson_rows(lines), kept, INTAKE)
    assert kept.flushed
    assert (result.rows, result.accepted, result.rejected) == (4, 2, 2)
    assert (dict(result.kinds), dict(result.reasons)) == ({"click": 2}, {"INVALID_JSON": 1, "UNKNOWN_OFFER": 1})
    assert [(problem.line, problem.reason, problem.field) for problem in result.first_problems] == [
        (3, "INVALID_JSON", None),
        (4, "UNKNOWN_OFFER", "offer_id"),
    ]
    letters = [decode(message.value) for message in kept.messages if message.topic == "dead-letters"]
    assert all(isinstance(letter, DeadLetter) for letter in letters)
    first = letters[0]
    assert isinstance(first, DeadLetter)
    assert (first.stage, first.door, first.original) == ("load", "load", b"{oops")
    assert first.detail.startswith("line 3: ")


@pytest.mark.parametrize("kept_times", [True, False])
def test_received_at_is_stamped_unless_kept(kept_times: bool) -> None:
    kept = Kept()
    load_file(ndjson_rows([LINE]), kept, INTAKE, received_at_kept=kept_times)
    click = decode(kept.messages[0].value)
    assert isinstance(click, Click)
    assert (click.received_at == parse_time("2017-11-07T10:00:01Z")) is kept_times
    assert click.door == "load"


def test_progress_is_told() -> None:
    told: list[int] = []
    count = 2 * PROGRESS_EVERY + 1
    load_file(ndjson_rows([LINE] * count), Kept(), INTAKE, on_progress=told.append)
    assert told == [PROGRESS_EVERY, 2 * PROGRESS_EVERY, count]


def test_checkpoints_come_after_everything_up_to_them_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.load.CHECKPOINT_S", -1.0)
    kept = Kept()
    seen: list[tuple[int, int, bool]] = []

    def checkpoint(progress: Progress) -> None:
        seen.append((progress.number, progress.kinds.total() + progress.reasons.total(), kept.flushed))
        assert len(kept.messages) == progress.number - 100
        kept.flushed = False

    rows = ndjson_rows([LINE] * (100 + 2 * PROGRESS_EVERY + 7), after=100)
    result = load_file(rows, kept, INTAKE, done=Progress(100, Counter(click=100)), on_checkpoint=checkpoint)
    assert seen == [(100 + at, 100 + at, True) for at in (PROGRESS_EVERY, 2 * PROGRESS_EVERY)]
    assert result.accepted == 100 + 2 * PROGRESS_EVERY + 7


def test_only_the_first_problems_are_kept() -> None:
    result = load_file(ndjson_rows([b"x\n"] * 1_000), Kept(), INTAKE)
    assert result.rejected == 1_000
    assert len(result.first_problems) == 20
    assert isinstance(result.first_problems[0], RowProblem)


def test_an_endless_line_takes_bounded_memory_and_is_one_problem() -> None:
    stream = io.BytesIO(b"x" * (3 * LINE_LIMIT) + b"\n" + LINE)
    lines = list(read_lines(stream))
    assert [len(line) for line in lines] == [LINE_LIMIT + 1, len(LINE)]
    result = load_file(ndjson_rows(lines), Kept(), INTAKE)
    assert (result.accepted, result.reasons["EVENT_TOO_LARGE"]) == (1, 1)


def test_without_a_catalog_nothing_is_loaded() -> None:
    def none(now: int) -> None:
        raise NoCatalog

    kept = Kept()
    with pytest.raises(NoCatalog):
        load_file(ndjson_rows([LINE]), kept, Intake(KEYS, none))  # type: ignore[arg-type]
    assert kept.messages == []
