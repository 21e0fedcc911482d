"""The writer's steps: nothing is lost while something is away, poison is set aside, order is kept."""

from collections.abc import Sequence

import pytest

from schemas.codec import current_schema, decode, encode
from schemas.records import DeadLetter
from sinks.clickhouse.dead_letters import LONGEST_ORIGINAL, letter, own_letter
from sinks.clickhouse.errors import Refused, Unavailable
from sinks.clickhouse.rows import Batch, Rejected, Row, Shape, shapes
from sinks.clickhouse.settings import RetryPolicy
from sinks.clickhouse.writer import Stopped, Writer, insert
from tests.support.sink_contract import MemoryTarget
from tests.support.sink_records import CLICKS, START, click, rows

AT_ONCE = RetryPolicy(first_s=0, longest_s=0)


class Letters:
    def __init__(self, away: int = 0) -> None:
        self.sent: list[Rejected] = []
        self.away = away

    def send(self, rejected: Sequence[Rejected]) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("Kafka is away")
        self.sent += rejected


def batch(*values: bytes) -> Batch:
    filled = Batch(shapes())
    for offset, value in enumerate(values):
        filled.add("clicks", Row(0, offset, value, b"k", START))
    return filled


def test_what_is_away_is_tried_until_it_is_back() -> None:
    target, letters = MemoryTarget(), Letters(away=3)
    target.away = 4
    writer = Writer(target, letters, AT_ONCE)
    writer.write(batch(encode(click(0)), b"bad frame", encode(click(2))))
    assert target.offsets() == [0, 2]
    assert [each.row.offset for each in letters.sent] == [1]
    assert writer.trouble is None


def test_stop_ends_the_wait_and_the_batch_counts_as_undone() -> None:
    target = MemoryTarget()
    target.away = 10**9
    writer = Writer(target, Letters(), RetryPolicy(first_s=60))
    writer.stop()
    with pytest.raises(Stopped):
        writer.write(batch(encode(click(0))))
    assert writer.trouble is not None
    assert "nobody there" in writer.trouble


def test_bad_frames_and_poison_become_dead_letters_after_the_rest_is_in() -> None:
    target, letters = MemoryTarget(), Letters()
    poison = encode(click(1, session_id="nonsense"))
    Writer(target, letters, AT_ONCE).write(batch(encode(click(0)), poison, b"", current_schema("credit").frame))
    assert target.offsets() == [0]
    assert {each.row.offset: each.reason for each in letters.sent} == {
        1: "REFUSED_BY_CLICKHOUSE",
        2: "BAD_FRAME",
        3: "WRONG_SCHEMA",
    }


def test_one_poisoned_record_of_many_costs_few_inserts() -> None:
    target = MemoryTarget()
    records = [click(i, session_id="nonsense") if i == 700 else click(i) for i in range(1_024)]
    assert [each.row.offset for each in insert(target, CLICKS, rows(records))] == [700]
    assert target.inserts < 30


def test_a_target_that_refuses_even_nothing_is_at_fault_itself() -> None:
    class Broken(MemoryTarget):
        def insert(self, shape: Shape, rows: Sequence[Row]) -> None:
            raise Refused(53, "TYPE_MISMATCH")

    with pytest.raises(Unavailable, match="without rows"):
        insert(Broken(), CLICKS, rows([click(0)]))


def test_a_dead_letter_has_the_original_and_its_place() -> None:
    rejected = Rejected("clicks", Row(3, 42, b"bytes", b"key", START), "BAD_FRAME", "why")
    made = letter(rejected, START + 5)
    assert decode(encode(made)) == made
    assert (made.stage, made.topic, made.partition, made.offset) == ("sink", "clicks", 3, 42)
    assert (made.original, made.key, made.record_at, made.received_at) == (b"bytes", b"key", START, START + 5)
    assert letter(rejected, START + 99).dead_letter_id == made.dead_letter_id


def test_what_is_too_long_for_the_topic_is_cut_and_says_so() -> None:
    made = letter(Rejected("clicks", Row(0, 0, b"x" * (LONGEST_ORIGINAL + 1), None, None), "R", "why"), START)
    assert len(made.original) == LONGEST_ORIGINAL
    assert "cut" in made.detail


def test_the_sinks_own_dead_letters_make_no_further_ones() -> None:
    own: DeadLetter = letter(Rejected("clicks", Row(0, 0, b"x", None, None), "BAD_FRAME", ""), START)
    refused = Rejected("dead-letters", Row(0, 0, encode(own), None, None), "REFUSED_BY_CLICKHOUSE", "")
    assert own_letter(refused)
    assert not own_letter(refused._replace(topic="clicks"))
    assert not own_letter(refused._replace(row=Row(0, 0, encode(own._replace(stage="ingest")), None, None)))
    assert not own_letter(refused._replace(row=Row(0, 0, b"junk", None, None)))
