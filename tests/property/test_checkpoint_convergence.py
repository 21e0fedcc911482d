"""DESIGN 1.2, 1.4, 1.5: no order, copy, crash, lost store or move of a partition changes a final credit."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import NamedTuple

import structlog.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.core import SessionTouches, Touch, decide_session
from processors.runtime.partitions import Place
from processors.store import MemoryDisk
from schemas.codec import encode
from schemas.ids import session_text
from schemas.records import CatalogVersion, Click, Conversion, Credit
from schemas.topics import CLICKS, CONVERSIONS
from tests.support.simulated_log import STEPS, Cluster, Crash, Worker

PARTITIONS = 2
SESSIONS = [bytes(15) + bytes([n]) for n in range(4)]
CATALOG = """
advertisers: [{id: shop, currency: EUR}]
offers: [{id: o, advertiser_id: shop, landing_url: "https://shop.example"}]
partners: [{id: p, type: publisher}, {id: d, type: publisher}, {id: n, type: publisher}]
contracts:
  - {id: cp, partner_id: p, program_id: shop, credit_group: preferred, from: 1970-01-01T00:00:00Z,
     payout: [{flat: "3"}]}
  - {id: cd, partner_id: d, program_id: shop, credit_group: default, from: 1970-01-01T00:00:00Z,
     payout: [{flat: "2"}]}
  - {id: cn, partner_id: n, program_id: shop, from: 1970-01-01T00:00:00Z, until: 1970-01-01T00:00:00.020Z,
     payout: [{percent: "5"}]}
"""


class Event(NamedTuple):
    session: bytes
    record: Click | Conversion

    @property
    def place(self) -> Place:
        topic = CLICKS if isinstance(self.record, Click) else CONVERSIONS
        return Place(topic, self.session[-1] % PARTITIONS)


class Fault(NamedTuple):
    """A worker will crash right after a step; with ``produced`` so many of its outputs are in Kafka already."""

    worker: int
    step: str
    produced: int
    flushed: bool


class Kill(NamedTuple):
    """A worker crashes here and now, and may find its store of a partition, or one topic of it, gone."""

    worker: int
    lost: int | None


class Flush(NamedTuple):
    """RocksDB writes memtables to disk: of both topics, or of one."""

    worker: int
    topics: tuple[str, ...]


class Deal(NamedTuple):
    """A rebalance: partition 0 and partition 1 go to these workers."""

    owners: tuple[int, int]


class Read(NamedTuple):
    """Their owner fetches a batch; ``skip`` and ``back`` are what Faust may do to it around a rebalance."""

    place: Place
    size: int
    skip: int = 0
    back: int = 0


class Commit(NamedTuple):
    worker: int


Action = Event | Fault | Kill | Flush | Deal | Read | Commit

times = st.integers(min_value=0, max_value=40)
sessions = st.sampled_from(SESSIONS)
workers = st.integers(min_value=0, max_value=1)
places = st.builds(Place, st.sampled_from([CLICKS, CONVERSIONS]), st.integers(min_value=0, max_value=PARTITIONS - 1))


@st.composite
def clicks(draw: st.DrawFn) -> Event:
    session, at = draw(sessions), draw(times)
    name = f"click-{session.hex()}-{draw(st.integers(min_value=0, max_value=5))}"
    partner = draw(st.sampled_from(["p", "d", "n", "unknown"]))
    invalid = draw(st.sampled_from([None, None, None, "bot"]))
    received_at = 1_000 + draw(times)
    return Event(session, Click(name, at, received_at, "click", partner, "o", invalid, None, session_text(session)))


@st.composite
def conversions(draw: st.DrawFn) -> Event:
    session, at = draw(sessions), draw(times)
    name = f"order-{session.hex()}-{draw(st.integers(min_value=0, max_value=2))}"
    amount = draw(st.sampled_from(["10.00", "10", "99.90", None]))
    advertiser = draw(st.sampled_from(["shop", "shop", "shop", "nobody"]))
    record = Conversion(
        name,
        at,
        1_000 + draw(times),
        advertiser,
        "sale",
        name,
        None,
        None,
        None,
        amount,
        None,
        None,
        None,
        None,
        session_text(session),
    )
    return Event(session, record)


events = st.one_of(clicks(), clicks(), conversions())
reads = st.builds(Read, places, st.integers(1, 8))
faults = st.one_of(
    st.builds(Fault, workers, st.sampled_from(STEPS), st.integers(0, 3), st.booleans()),
    st.builds(Kill, workers, st.sampled_from([None, None, 0, 1])),
    st.builds(Deal, st.tuples(workers, workers)),
    st.builds(Read, places, st.integers(1, 6), st.sampled_from([0, 2]), st.sampled_from([0, 3])),
)
flushes = st.builds(Flush, workers, st.sampled_from([(CLICKS,), (CONVERSIONS,), (CLICKS, CONVERSIONS)]))
chapters = st.builds(
    lambda known, then: known + then,
    st.lists(events, min_size=4, max_size=25),
    st.lists(st.one_of(reads, reads, reads, st.builds(Commit, workers), flushes, faults, events), max_size=60),
)


class Story:
    """Plays actions on two workers, then lets everything come to rest."""

    def __init__(self) -> None:
        self.cluster = Cluster(CatalogVersion(1, 0, 0, "test", "", CATALOG), PARTITIONS)
        self.disks: list[dict[int, MemoryDisk]] = [{}, {}]
        self.workers = [self.started(n) for n in range(2)]
        self.owners = (0, 1)
        self.events: list[Event] = []

    def started(self, number: int) -> Worker:
        return Worker(self.cluster, self.disks[number])

    async def deal(self, owners: tuple[int, int]) -> None:
        for worker in self.workers:
            await worker.agent.revoked()
        await self.hand_out(owners)

    async def hand_out(self, owners: tuple[int, int]) -> None:
        self.owners = owners
        for number, worker in enumerate(self.workers):
            await worker.assign([partition for partition, owner in enumerate(owners) if owner == number])

    async def crash(self, number: int) -> None:
        """The worker is gone with its memory; it comes back, and the group is dealt out as before."""
        self.workers[number] = self.started(number)
        await self.deal(self.owners)

    async def play(self, action: Action) -> None:
        if isinstance(action, Event):
            self.events.append(action)
            record = action.record
            self.cluster.append(action.place, action.session, encode(record), record.occurred_at)
        elif isinstance(action, Fault):
            self.workers[action.worker].crash_after = action.step
            self.workers[action.worker].produced_before_crash = action.produced
            self.workers[action.worker].flushed_before_crash = action.flushed
        elif isinstance(action, Kill):
            if action.lost is not None:
                self.disks[action.worker].pop(action.lost, None)
            await self.crash(action.worker)
        elif isinstance(action, Flush):
            self.workers[action.worker].flush(action.topics)
        elif isinstance(action, Deal):
            await self.deal(action.owners)
        elif isinstance(action, Commit):
            await self.workers[action.worker].commit()
        else:
            await self.poll(action)

    async def poll(self, read: Read) -> bool:
        owner = self.owners[read.place.partition]
        try:
            return await self.workers[owner].poll(read.place, read.size, skip=read.skip, back=read.back)
        except Crash:
            await self.crash(owner)
            return True

    async def rest(self) -> None:
        """No more faults; everyone reads to the end."""
        for worker in self.workers:
            worker.crash_after = None
        for _ in range(100):
            moved = False
            for place in self.cluster.logs:
                moved |= await self.poll(Read(place, 5))
            if not moved:
                break
        for worker in self.workers:
            assert worker.agent.failure is None
            assert worker.done()
            await worker.commit()


def expected(story: Story) -> dict[tuple[str, str, str | None, str], Credit]:
    """The core on the whole set, offline."""
    found = {}
    for session in {event.session for event in story.events}:
        mine = {encode(event.record): event.record for event in story.events if event.session == session}
        touches = SessionTouches(Touch(*record[:8]) for record in mine.values() if isinstance(record, Click))
        claims = [record for record in mine.values() if isinstance(record, Conversion)]
        decision = decide_session(session_text(session), claims, touches, story.cluster.catalogs, "live")
        for credit in decision.credits:
            found[credit.conversion_id, credit.session_id, credit.amount, credit.currency] = credit
    return found


async def tell(actions: list[Action]) -> Story:
    story = Story()
    await story.hand_out((0, 1))
    for action in actions:
        await story.play(action)
    await story.rest()
    return story


def same_claims(credits: dict[tuple[str, str, str | None, str], Credit]) -> dict[tuple[str, str, str], Credit]:
    """Per claim the greatest version: an amount may be written in two ways."""
    found: dict[tuple[str, str, str], Credit] = {}
    for credit in credits.values():
        amount = "none" if credit.amount is None else str(Decimal(credit.amount).normalize())
        claim = (credit.conversion_id, credit.session_id, amount)
        if claim not in found or found[claim].version < credit.version:
            found[claim] = credit
    return found


@given(chapters)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_final_credits_are_those_of_the_whole_set(actions: list[Action]) -> None:
    with structlog.testing.capture_logs():
        story = asyncio.run(tell(actions))
    final, whole = same_claims(story.cluster.credits), same_claims(expected(story))
    assert {claim: encode(credit) for claim, credit in final.items()} == {
        claim: encode(credit) for claim, credit in whole.items()
    }
    refused = {encode(event.record) for event in story.events if event.record[3] == "nobody"}
    assert {letter.original for letter in story.cluster.dead_letters.values()} == refused
    for place, log in story.cluster.logs.items():
        assert story.cluster.committed.get(place, 0) == len(log)
