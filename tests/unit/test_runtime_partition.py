"""The rule of recovery (``processors.runtime.partition``): where to start, what is silent, what is held."""

from __future__ import annotations

from processors.runtime.partition import LogEnds, Part, Partition, Verdict
from processors.store import MemoryDisk, MemoryTouchStore
from schemas.topics import CLICKS, CONVERSIONS
from tests.support.log_records import FakeRecord, batch_of

LOG = [FakeRecord(offset, 1_000 + offset, b"k", b"v") for offset in range(100)]
NOW = 5_000


def partition(
    clicks: LogEnds, conversions: LogEnds, touches_applied: int | None = None, conversions_applied: int | None = None
) -> Partition:
    disk = MemoryDisk()
    store = MemoryTouchStore(disk, 1_000)
    if touches_applied is not None:
        store.put_touches([], touches_applied)
    if conversions_applied is not None:
        store.put_conversions([], conversions_applied)
    return Partition(0, store, {CLICKS: clicks, CONVERSIONS: conversions}, NOW)


def part(of: Partition, topic: str, begin: int, end: int) -> Part:
    found = of.next_part(batch_of(topic, LOG, begin, end))
    assert isinstance(found, Part)
    of.applied(found)
    return found


def test_a_new_group_reads_everything_live() -> None:
    fresh = partition(LogEnds(0, 100, None), LogEnds(0, 100, None))
    assert fresh.position == {CLICKS: 0, CONVERSIONS: 0}
    assert not fresh.recovering
    assert part(fresh, CLICKS, 0, 10).live
    assert fresh.store.complete_since(NOW) == 0


def test_a_store_that_lags_is_filled_silently_up_to_the_commit() -> None:
    lagging = partition(LogEnds(0, 100, 60), LogEnds(0, 100, 5), touches_applied=40, conversions_applied=5)
    assert lagging.position == {CLICKS: 40, CONVERSIONS: 5}
    assert lagging.to_recover == 20
    silent = part(lagging, CLICKS, 40, 70)
    assert (silent.live, silent.end, [record.offset for record in silent.records]) == (False, 60, list(range(40, 60)))
    live = part(lagging, CLICKS, 40, 70)
    assert (live.live, live.end, live.records[0].offset) == (True, 70, 60)
    assert lagging.next_part(batch_of(CLICKS, LOG, 40, 70)) is Verdict.DONE


def test_a_store_that_leads_is_evaluated_again_from_the_commit() -> None:
    leading = partition(LogEnds(0, 100, 20), LogEnds(0, 100, 5), touches_applied=40, conversions_applied=9)
    assert leading.position == {CLICKS: 20, CONVERSIONS: 5}
    assert part(leading, CLICKS, 20, 30).live


def test_nothing_is_live_before_both_topics_have_recovered() -> None:
    half = partition(LogEnds(0, 100, 60), LogEnds(0, 100, 5), touches_applied=40, conversions_applied=5)
    assert half.held(CONVERSIONS)
    assert half.next_part(batch_of(CONVERSIONS, LOG, 5, 9)) is Verdict.HELD
    assert not part(half, CLICKS, 40, 60).live
    assert part(half, CONVERSIONS, 5, 9).live


def test_a_lost_store_is_rebuilt_from_the_beginning() -> None:
    lost = partition(LogEnds(0, 100, 60), LogEnds(0, 100, 30))
    assert lost.position == {CLICKS: 0, CONVERSIONS: 0}
    assert lost.to_recover == 90


def test_a_log_without_its_beginning_is_complete_since_now() -> None:
    cut = partition(LogEnds(10, 100, 60), LogEnds(0, 100, 30))
    assert cut.position[CLICKS] == 10
    assert cut.store.complete_since(NOW) == NOW


def test_what_comes_twice_late_or_after_a_gap_is_recognised() -> None:
    fresh = partition(LogEnds(0, 100, None), LogEnds(0, 100, None))
    part(fresh, CLICKS, 0, 10)
    assert fresh.next_part(batch_of(CLICKS, LOG, 0, 10)) is Verdict.DONE
    assert fresh.next_part(batch_of(CLICKS, LOG, 12, 20)) is Verdict.GAP
    overlapping = part(fresh, CLICKS, 5, 15)
    assert [record.offset for record in overlapping.records] == [10, 11, 12, 13, 14]


def test_offsets_of_a_log_that_is_gone_count_for_nothing() -> None:
    remade = partition(LogEnds(0, 10, 60), LogEnds(0, 10, 3), touches_applied=60, conversions_applied=3)
    assert remade.position == {CLICKS: 0, CONVERSIONS: 3}
    assert not remade.recovering


def test_only_live_parts_are_committable() -> None:
    lagging = partition(LogEnds(0, 100, 60), LogEnds(0, 100, 5), touches_applied=40, conversions_applied=5)
    part(lagging, CLICKS, 40, 60)
    assert lagging.committable == {}
    lagging.evaluated(part(lagging, CLICKS, 60, 70))
    assert lagging.committable == {CLICKS: 70}
