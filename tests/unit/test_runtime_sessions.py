"""What a worker remembers of large sessions: how much, how long, and what it spares."""

from __future__ import annotations

import pytest

from processors.runtime.intake import take
from processors.runtime.partition import LogEnds, Part, Partition
from processors.runtime.sessions import Sessions
from processors.store import MemoryDisk, MemoryTouchStore, TouchStore
from schemas.codec import encode
from schemas.ids import session_text
from schemas.records import Click, Conversion
from schemas.topics import CLICKS, CONVERSIONS
from tests.support.log_records import FakeRecord

ENDS = {topic: LogEnds(0, 1_000, None) for topic in (CLICKS, CONVERSIONS)}
A, B = bytes(16), bytes(15) + b"\1"


def click(session: bytes, number: int) -> bytes:
    name = f"c{number}"
    return encode(Click(name, number, number, "click", "p", "o", None, None, session_text(session)))


def sale(session: bytes, name: str = "v") -> bytes:
    order = (name, 500, 500, "shop", "sale", name, None, None, None, "1")
    return encode(Conversion(*order, None, None, None, None, session_text(session)))


class Reads(MemoryTouchStore):
    """Counts how often touches were asked for."""

    reads = 0

    def touches(self, session: bytes) -> list[bytes]:
        self.reads += 1
        return super().touches(session)


def partition(store: TouchStore) -> Partition[TouchStore]:
    return Partition(0, store, ENDS, 0)


@pytest.fixture
def store() -> Reads:
    store = Reads(MemoryDisk(), 1 << 40)
    for session in (A, B):
        rows = take(Part(CONVERSIONS, 1, [FakeRecord(0, 500, session, sale(session))], True), set()).rows
        store.put_conversions(rows, 1)
        store.put_touches([(session + bytes([n]) * 16, click(session, n)) for n in range(3)], 3)
    return store


def learn(sessions: Sessions, of: Partition[TouchStore], topic: str, key: bytes, value: bytes) -> dict[bytes, object]:
    part = Part(topic, 1, [FakeRecord(0, 0, key, value)], True)
    intake = take(part, of.store.converted)
    of.put(topic, intake.rows, 9)
    return dict(sessions.learn(of, topic, intake))


def test_a_large_session_is_read_once(store: Reads) -> None:
    sessions, own = Sessions(smallest=4), partition(store)
    assert learn(sessions, own, CLICKS, A, click(A, 7)) == {A: None}
    assert sessions.read(own, A).touches.count == 4
    assert learn(sessions, own, CLICKS, A, click(A, 8)) == {A: None}
    assert sessions.read(own, A).touches.count == 5
    assert store.reads == 1


def test_a_small_one_is_not_kept(store: Reads) -> None:
    sessions, own = Sessions(smallest=5), partition(store)
    sessions.read(own, A)
    assert len(sessions) == 0


def test_nothing_is_owed_for_a_copy(store: Reads) -> None:
    sessions, own = Sessions(smallest=1), partition(store)
    learn(sessions, own, CLICKS, A, click(A, 7))
    sessions.read(own, A)
    assert learn(sessions, own, CLICKS, A, click(A, 7)) == {}
    assert learn(sessions, own, CONVERSIONS, A, sale(A)) == {}
    assert learn(sessions, own, CLICKS, B, click(B, 1)) == {B: None}


def test_a_conversion_asks_for_itself_alone(store: Reads) -> None:
    sessions, own = Sessions(smallest=1), partition(store)
    assert learn(sessions, own, CONVERSIONS, A, sale(A, "w")) == {A: {"w"}}
    assert {one.conversion_id for one in sessions.read(own, A).events(None)} == {"v", "w"}


def test_the_limit_lets_go_of_what_was_not_used_longest(store: Reads) -> None:
    sessions, own = Sessions(limit=5, smallest=1), partition(store)
    sessions.read(own, A)
    sessions.read(own, B)
    assert len(sessions) == 1
    sessions.read(own, B)
    assert store.reads == 2


def test_a_partition_dealt_out_anew_is_read_anew(store: Reads) -> None:
    sessions, own = Sessions(smallest=1), partition(store)
    learn(sessions, own, CLICKS, A, click(A, 7))
    sessions.read(own, A)
    again = partition(store)
    learn(sessions, again, CLICKS, B, click(B, 7))
    assert len(sessions) == 0


def test_a_batch_that_fails_makes_it_forget(store: Reads) -> None:
    sessions, own = Sessions(smallest=1), partition(store)
    sessions.read(own, A)
    sessions.forget(0)
    assert len(sessions) == 0
