"""Both claim stores do the same: RocksDB and its twin in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rocksdict import Cache

from processors.core.settlement import claim_key
from processors.errors import StoreDamaged
from processors.store import ClaimStore, MemoryClaimStore, RocksClaimStore, claim_row
from schemas.codec import decode
from schemas.records import Credit
from schemas.topics import CREDITS
from tests.support.sink_records import credit

Open = Callable[[], ClaimStore]


def rocks(folder: Path, source: str = "log") -> RocksClaimStore:
    return RocksClaimStore(folder, 4 << 20, Cache(1 << 20), source)


@pytest.fixture(params=["rocks", "memory"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same store again each time; the one before must be closed."""
    if request.param == "rocks":
        yield lambda: rocks(tmp_path / "p0000")
    else:
        disk: dict[bytes, bytes] = {}
        applied: list[int] = []
        yield lambda: MemoryClaimStore(disk, applied)


def row(claim: Credit) -> tuple[bytes, bytes]:
    return claim_row(claim, claim_key(claim))


def names(store: ClaimStore, conversion_id: str) -> set[tuple[str, int, str | None]]:
    claims = [decode(value) for value in store.claims(conversion_id)]
    return {(claim.session_id, claim.version, claim.amount) for claim in claims if isinstance(claim, Credit)}


ONE, OTHER = "018f3c1e-0000-7000-8000-000000000001", "018f3c1e-0000-7000-8000-000000000002"


def claim(order: str, session: str = ONE, version: int = 1, amount: str = "10.00") -> Credit:
    return credit(order, version=version)._replace(conversion_id=order, session_id=session, amount=amount)


def test_a_new_claim_store_is_empty(open_store: Open) -> None:
    store = open_store()
    assert store.topics == (CREDITS,)
    assert store.applied() == (None,)
    assert list(store.claims("A-1")) == []
    store.close()


def test_claims_come_back_by_conversion(open_store: Open) -> None:
    store = open_store()
    store.put(CREDITS, [row(claim("A-1")), row(claim("A-1", OTHER)), row(claim("A-2", amount="1"))], 3)
    assert names(store, "A-1") == {(ONE, 1, "10.00"), (OTHER, 1, "10.00")}
    assert names(store, "A-2") == {(ONE, 1, "1")}
    assert names(store, "A-3") == set()
    store.close()


def test_a_later_put_replaces_the_claim_and_other_content_is_another_claim(open_store: Open) -> None:
    store = open_store()
    store.put(CREDITS, [row(claim("A-1"))], 1)
    store.put(CREDITS, [row(claim("A-1", version=2, amount="10")), row(claim("A-1", amount="11"))], 2)
    assert names(store, "A-1") == {(ONE, 2, "10"), (ONE, 1, "11")}
    store.close()


def test_the_offset_of_claims_never_moves_back(open_store: Open) -> None:
    store = open_store()
    store.put(CREDITS, [row(claim("A-1"))], 10)
    store.put(CREDITS, [], 5)
    assert store.applied() == (10,)
    store.close()


def test_claims_and_offset_are_there_after_closing(open_store: Open) -> None:
    store = open_store()
    store.begin(0, now=0)
    store.put(CREDITS, [row(claim("A-1"))], 7)
    store.flush()
    store.put(CREDITS, [row(claim("A-1", OTHER))], 8)
    store.close()
    store = open_store()
    assert store.applied() == (8,)
    assert names(store, "A-1") == {(ONE, 1, "10.00"), (OTHER, 1, "10.00")}
    store.close()


def test_claims_of_another_log_are_not_taken_for_ours(tmp_path: Path) -> None:
    rocks(tmp_path / "p0000", "one log").close()
    with pytest.raises(StoreDamaged, match="another log"):
        rocks(tmp_path / "p0000", "other log")
