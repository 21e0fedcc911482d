"""Waiting for stages, against a broker in memory; troubles are data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from console.errors import BrokerUnreachable, WaitTimedOut
from console.lag import ATTRIBUTION, SINK, Offset, Place, Stage, behind
from console.wait import Waiter


class Broker:
    """Every question moves it on by a step; ``None`` among the steps is a question while it is away."""

    def __init__(self, ends: Mapping[Place, int], steps: list[dict[str, dict[Place, int]] | None]) -> None:
        self.ends = dict(ends)
        self.steps = steps
        self.asked: list[str] = []

    def offsets(self, topics: Iterable[str]) -> dict[Place, Offset]:
        return {place: Offset(0, end) for place, end in self.ends.items() if place[0] in set(topics)}

    def committed(self, stage: Stage) -> dict[Place, int]:
        self.asked.append(stage.group)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if step is None:
            raise BrokerUnreachable("127.0.0.1:1", "away")
        return step.get(stage.group, {})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def waiter(broker: Broker, said: list[tuple[str, int, int]]) -> Waiter:
    clock = Clock()
    return Waiter(broker, 60, lambda *call: said.append(call), clock=clock, pause=clock.pause)


ENDS = {("clicks", 0): 10, ("conversions", 0): 2, ("credits", 0): 2}
ATTRIBUTED = {"accredit-attribution": {("clicks", 0): 10, ("conversions", 0): 2}}
SETTLED = {"accredit-settlement": {("credits", 0): 2}}
SUNK = {"accredit-clickhouse": {("clicks", 0): 10, ("conversions", 0): 2, ("credits", 0): 2}}


def test_attribution_first_then_settlement_then_the_sink() -> None:
    said: list[tuple[str, int, int]] = []
    half = {"accredit-attribution": {("clicks", 0): 4}}
    waiter(Broker(ENDS, [{}, half, ATTRIBUTED, SETTLED, {}, SUNK]), said).until_queryable()
    assert said == [
        ("attribution", 12, 12),
        ("attribution", 8, 12),
        ("attribution", 0, 12),
        ("settlement", 0, 0),
        ("clickhouse sink", 14, 14),
        ("clickhouse sink", 0, 14),
    ]


def test_a_broker_that_is_away_is_asked_again() -> None:
    broker = Broker(ENDS, [None, None, ATTRIBUTED, SETTLED, None, SUNK])
    waiter(broker, []).until_queryable()
    assert broker.asked == ["accredit-attribution"] * 3 + ["accredit-settlement"] + ["accredit-clickhouse"] * 2


def test_what_comes_later_is_not_waited_for() -> None:
    broker = Broker(ENDS, [ATTRIBUTED])
    noted = broker.offsets(ATTRIBUTION.topics)
    broker.ends[("clicks", 0)] = 1_000
    waiter(broker, []).until_committed(ATTRIBUTION, noted)


def test_the_deadline_names_the_stage_and_what_is_left() -> None:
    with pytest.raises(WaitTimedOut, match=r"60 s, and attribution is not there: 12 records"):
        waiter(Broker(ENDS, [{}]), []).until_queryable()


def test_an_empty_partition_needs_no_commit() -> None:
    ends = {("credits", 0): Offset(0, 0), ("credits", 1): Offset(5, 5)}
    assert behind(ends, {}, SINK.topics) == 0


def test_a_commit_before_the_first_record_counts_from_there() -> None:
    assert behind({("clicks", 0): Offset(5, 9)}, {("clicks", 0): 2}, ["clicks"]) == 4
