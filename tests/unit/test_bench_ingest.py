"""Which turns of ``make bench-ingest`` count."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from bench.ingest import CALM, TURNS, TURNS_AT_MOST, Turn, calmest, enough_turns, stolen, which_count
from bench.wrk import Measured

RUN = Measured(1.0, 1.0, 1.0, 0)


def turns_of(*shares: float) -> list[Turn]:
    coming = iter(shares)
    return enough_turns(lambda: Turn(RUN, RUN, 1.0, next(coming)))


def test_calm_turns_are_enough() -> None:
    assert calmest(turns_of(*[CALM] * TURNS)) == [Turn(RUN, RUN, 1.0, CALM)] * TURNS


def test_a_turn_in_which_others_took_the_processors_is_replaced() -> None:
    taken = turns_of(0.0, 0.4, *[0.01] * TURNS)
    assert [each.stolen for each in calmest(taken)] == [0.0, *[0.01] * (TURNS - 1)]
    assert which_count(taken, calmest(taken)) == (
        f"{TURNS} of {TURNS + 1} turns: others took up to 40% of this machine's processors, in these 1% at most"
    )


def test_where_it_never_gets_calm_the_calmest_count() -> None:
    taken = turns_of(*[0.5 - number / 100 for number in range(TURNS_AT_MOST)])
    assert len(taken) == TURNS_AT_MOST
    assert [each.stolen for each in calmest(taken)] == [
        0.5 - number / 100 for number in range(TURNS_AT_MOST - 1, TURNS_AT_MOST - 1 - TURNS, -1)
    ]


class Times(NamedTuple):
    user: float
    steal: float


class TimesOfAnotherSystem(NamedTuple):
    user: float


def test_the_share_that_was_stolen() -> None:
    assert stolen(Times(10.0, 5.0), Times(16.0, 7.0)) == pytest.approx(0.25)
    assert stolen(Times(10.0, 5.0), Times(10.0, 5.0)) == 0
    assert stolen(TimesOfAnotherSystem(10.0), TimesOfAnotherSystem(16.0)) == 0
