"""Settlement of claims: any order of arrival gives the same; a conflict that turns out to be a copy is withdrawn."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from processors.core.settlement import claim_key, settle
from schemas.codec import decode
from schemas.records import Credit, DeadLetter

BASE = Credit(
    "c1", "018f3c1e-0000-7000-8000-000000000001", 5 << 16 | 1, "unattributed", "a", "a", "sale", "1", None, 1, 5, "10",
    "EUR", None, None, None, None, None, None, None, None, None, None, None, "NO_CANDIDATE", (), 0, (), {}, 1, "live",
)  # fmt: skip


def claim(session: int, received_at: int, amount: str = "10", credited: bool = False, count: int = 1) -> Credit:
    return BASE._replace(
        session_id=f"018f3c1e-0000-7000-8000-{session:012d}",
        received_at=received_at,
        version=received_at << 16 | count,
        amount=amount,
        status="credited" if credited else "unattributed",
        partner_id="anna" if credited else None,
    )


def arrive(claims: list[Credit]) -> tuple[object, dict[str, DeadLetter]]:
    """What readers hold after the claims came one by one: the greatest version of everything."""
    known: dict[str, Credit] = {}
    settlements, letters = {}, {}
    for one in claims:
        key = claim_key(one)
        if key not in known or known[key].version < one.version:
            known[key] = one
        settled = settle(list(known.values()))
        settlements[settled.settlement.version] = settled.settlement
        for letter in settled.letters:
            if letter.dead_letter_id not in letters or letters[letter.dead_letter_id].version <= letter.version:
                letters[letter.dead_letter_id] = letter
    return settlements[max(settlements)], letters


def key_of(letter: DeadLetter) -> str:
    original = decode(letter.original)
    assert isinstance(original, Credit)
    return claim_key(original)


CLAIMS = [claim(1, 5, credited=True, count=3), claim(2, 3), claim(3, 4, "70"), claim(4, 9, "70.0", credited=True)]


def test_every_order_of_arrival_settles_the_same() -> None:
    results = []
    for order in itertools.permutations(CLAIMS):
        settlement, letters = arrive(list(order))
        results.append((settlement, sorted(k for k, letter in letters.items() if not letter.withdrawn)))
    assert all(result == results[0] for result in results)
    settlement = results[0][0]
    assert settlement.partner_id == "anna"  # type: ignore[attr-defined]
    assert (settlement.claims, settlement.conflicts) == (2, 2)  # type: ignore[attr-defined]


def test_a_conflict_that_becomes_a_copy_is_withdrawn() -> None:
    _, letters = arrive([claim(1, 5), claim(2, 7, "70")])
    assert [letter.withdrawn for letter in letters.values()] == [False]
    _, letters = arrive([claim(1, 5), claim(2, 7, "70"), claim(3, 1, "70")])
    assert {key_of(letter).split()[2]: letter.withdrawn for letter in letters.values()} == {"7E+1": True, "1E+1": False}


def test_the_letter_names_both_contents() -> None:
    (letter,) = settle([claim(1, 5), claim(2, 7, "70")]).letters
    assert "10 EUR" in letter.detail
    assert "70 EUR" in letter.detail
    original = decode(letter.original)
    assert isinstance(original, Credit)
    assert original.amount == "70"


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.sampled_from(["10", "70"])), min_size=1, max_size=6))
def test_versions_only_grow(parts: list[tuple[int, int, str]]) -> None:
    known: dict[str, Credit] = {}
    last = 0
    for session, received_at, amount in parts:
        one = claim(session, received_at, amount)
        if known.setdefault(claim_key(one), one).version < one.version:
            known[claim_key(one)] = one
        version = settle(list(known.values())).settlement.version
        assert version >= last
        last = version
