"""The touches that benchmarks make fast are those that the codec would make."""

from __future__ import annotations

from collections import Counter

from bench import past
from bench.latency import Measured
from schemas.codec import encode


def test_a_spliced_click_is_the_encoded_one() -> None:
    for number in (0, 7, 12_345, 9_999_999):
        key = past.session_of(number)
        assert past.click_value(number, key) == encode(past.click_of(number, key))
        assert past.decoded(past.Message("clicks", key, past.click_value(number, key), 0)).click_id.endswith(
            str(number)
        )


def test_each_session_has_three_touches() -> None:
    assert set(Counter(past.session_of(number) for number in range(9_000)).values()) == {past.PER_SESSION}


def test_a_delay_counts_from_the_answer_and_never_below_nothing() -> None:
    measured = Measured()
    measured.answered = {"early": 1.0, "a": 10.0, "b": 11.0, "missing": 12.0}
    measured.credited = {"early": 1.1, "a": 10.25, "b": 10.9}
    assert measured.delays_ms(measured.credited, 5.0) == [0.0, 250.0]
