"""Sessions kept decoded give what the store gives: same credits, whatever comes, however little may be kept."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.core import CompiledLog
from processors.runtime.checkpoint import Checkpoint
from processors.runtime.metrics import Metrics
from processors.runtime.partition import LogEnds, Part, Partition
from processors.runtime.sessions import Sessions
from processors.store import MemoryDisk, MemoryTouchStore, TouchStore
from schemas.catalog import CatalogLog
from schemas.codec import encode
from schemas.ids import session_text
from schemas.records import CatalogVersion, Click, Conversion, Credit, DeadLetter
from schemas.topics import CLICKS, CONVERSIONS
from tests.support.log_records import FakeRecord

SESSIONS = [bytes(15) + bytes([n]) for n in range(3)]
CATALOG = """
advertisers: [{id: shop, currency: EUR, programs: [{id: vip}]}]
offers:
  - {id: o, advertiser_id: shop, landing_url: "https://shop.example"}
  - {id: v, advertiser_id: shop, program_id: vip, landing_url: "https://shop.example"}
partners: [{id: p, type: publisher}, {id: d, type: publisher}]
contracts:
  - {id: cp, partner_id: p, program_id: shop, from: 1970-01-01T00:00:00Z, payout: [{flat: "3"}]}
  - {id: cd, partner_id: d, program_id: vip, from: 1970-01-01T00:00:00Z, payout: [{flat: "2"}]}
"""
LOG = CompiledLog(CatalogLog.of([CatalogVersion(1, 0, 0, "test", "", CATALOG)]))
TTL_MS = 1 << 40
END = 1 << 30

Value = tuple[str, bytes, int, bytes]
"""Topic, key, time and value."""


@st.composite
def clicks(draw: st.DrawFn) -> Value:
    session, at = draw(st.sampled_from(SESSIONS)), draw(st.integers(0, 9))
    touch = Click(
        draw(st.sampled_from("abc")),
        at,
        draw(st.integers(0, 2)),
        "click",
        draw(st.sampled_from("pd")),
        draw(st.sampled_from("ov")),
        draw(st.sampled_from([None, None, "bot"])),
        None,
        session_text(session),
    )
    return CLICKS, session, at, encode(touch)[: draw(st.sampled_from([None, None, None, 9]))]


@st.composite
def conversions(draw: st.DrawFn) -> Value:
    session, at = draw(st.sampled_from(SESSIONS)), draw(st.integers(0, 9))
    name, click_id = draw(st.sampled_from("xyz")), draw(st.sampled_from([None, "a"]))
    amount = draw(st.sampled_from(["1", "2"]))
    advertiser = draw(st.sampled_from(["shop", "shop", "nobody"]))
    order = (name, at, draw(st.integers(0, 2)), advertiser, "sale", name, None, None, click_id, amount)
    return CONVERSIONS, session, at, encode(Conversion(*order, None, None, None, None, session_text(session)))


class Run:
    """A checkpoint on a store in memory, its own outputs and catalogs, and what readers end up with."""

    def __init__(self, sessions: Sessions) -> None:
        self.credits: dict[tuple[str, str, str | None], Credit] = {}
        self.letters: dict[str, DeadLetter] = {}
        self.produced = 0
        self.compiled = LOG
        store: TouchStore = MemoryTouchStore(MemoryDisk(), TTL_MS)
        ends = {topic: LogEnds(0, END, None) for topic in (CLICKS, CONVERSIONS)}
        self.partition = Partition(0, store, ends, 0)
        self.checkpoint = Checkpoint(self, cast(Any, self), Metrics(), "live", lambda: 5, sessions=sessions)

    async def known_for(self, received_at: int) -> None:
        return

    async def acknowledged(self) -> None:
        return

    def credit(self, credit: Credit) -> None:
        self.produced += 1
        claim = (credit.conversion_id, credit.session_id, credit.amount)
        if claim not in self.credits or self.credits[claim].version <= credit.version:
            self.credits[claim] = credit

    def dead_letter(self, letter: DeadLetter) -> None:
        self.letters[letter.dead_letter_id] = letter

    def take(self, values: list[Value]) -> None:
        for topic in (CLICKS, CONVERSIONS):
            begin = self.partition.position[topic]
            mine = [(key, at, value) for name, key, at, value in values if name == topic]
            records = [FakeRecord(begin + n, at, key, value) for n, (key, at, value) in enumerate(mine)]
            part = Part(topic, begin + len(records), records, live=True)
            asyncio.run(self.checkpoint.advance(self.partition, part))


@given(st.lists(st.lists(st.one_of(clicks(), clicks(), conversions()), max_size=8), max_size=8), st.integers(1, 20))
@settings(max_examples=300, deadline=None)
def test_kept_sessions_give_what_the_store_gives(batches: list[list[Value]], limit: int) -> None:
    keeping, reading = Run(Sessions(limit, smallest=1)), Run(Sessions(0, smallest=END))
    for batch in batches:
        keeping.take(batch)
        reading.take(batch)
        assert keeping.credits == reading.credits
        assert keeping.letters == reading.letters
    assert keeping.produced <= reading.produced
