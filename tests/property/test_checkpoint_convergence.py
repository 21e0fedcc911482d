"""DESIGN 1.2, 1.4, 1.5: no order, copy, crash, lost store or move of a partition changes a final credit.

Both stages are in it: several sessions claim one order, with the same content or another, and what settlement ends up
with is what ``accredit credit`` says of the whole set, byte for byte, conflicts included.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import orjson
import structlog.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.core import SessionTouches, Touch, decide_session
from processors.core.claims import Standing
from processors.core.offline import History
from processors.core.public import public_credit
from processors.core.settlement import claim_key
from processors.runtime.partitions import Place
from schemas.codec import decode, encode
from schemas.ids import session_text
from schemas.records import CatalogVersion, Click, Conversion, Credit
from schemas.topics import CLICKS, CONVERSIONS, CREDITS
from tests.support.simulated_log import RUN, STEPS, AttributionWorker, Cluster, Crash, SettlementWorker, Worker

PARTITIONS = 2
STAGES = (AttributionWorker, SettlementWorker)
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


class Again(NamedTuple):
    """An event that was sent is sent again, as it is: the one with this number, counted round."""

    number: int


class Echo(NamedTuple):
    """A worker that was frozen wakes: what one of its stage produced earlier, counted round, is in Kafka once more."""

    number: int


class Quiet(NamedTuple):
    """Some time without faults: the stage reads all there is."""

    stage: int


class Who(NamedTuple):
    """One of the two workers of a stage."""

    stage: int
    number: int


class Fault(NamedTuple):
    """The worker crashes right after a step; so many of its outputs are in Kafka already, and maybe all is on disk."""

    step: str
    produced: int
    flushed: bool


class Kill(NamedTuple):
    """A worker crashes here and now, and may find its store of a partition gone."""

    worker: Who
    lost: int | None


class Flush(NamedTuple):
    """RocksDB writes memtables to disk: of some topics, or of all."""

    worker: Who
    topics: tuple[str, ...]


class Deal(NamedTuple):
    """A rebalance of a stage: partition 0 and partition 1 go to these workers."""

    stage: int
    owners: tuple[int, int]


class Read(NamedTuple):
    """Their owner fetches a batch; ``skip`` and ``back`` are what Faust may do to it around a rebalance."""

    place: Place
    size: int
    fault: Fault | None = None
    skip: int = 0
    back: int = 0


class Commit(NamedTuple):
    worker: Who


Action = Event | Again | Echo | Quiet | Kill | Flush | Deal | Read | Commit

times = st.integers(min_value=0, max_value=40)
sessions = st.sampled_from(SESSIONS)
pairs = st.integers(min_value=0, max_value=1)
workers = st.builds(Who, pairs, pairs)
topics = st.sampled_from([CLICKS, CONVERSIONS, CREDITS])
places = st.builds(Place, topics, st.integers(min_value=0, max_value=PARTITIONS - 1))


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
    name = f"order-{draw(st.integers(min_value=0, max_value=3))}"  # of whichever session: doors meet
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
        draw(st.sampled_from([None, None, "EUR", "USD"])),
        None,
        None,
        None,
        session_text(session),
    )
    return Event(session, record)


events = st.one_of(clicks(), clicks(), conversions())
faults = st.builds(Fault, st.sampled_from(STEPS), st.integers(0, 3), st.booleans())
sizes = st.integers(1, 12)
# One of these many is drawn: Hypothesis takes a strategy that is named twice for one, hence new ones.
reads = [st.builds(Read, places, sizes, st.none() | faults) for _ in range(12)]
quiet = [st.builds(Quiet, pairs) for _ in range(3)]
rare = st.one_of(
    st.builds(Kill, workers, st.sampled_from([None, None, 0, 1])),
    st.builds(Deal, pairs, st.tuples(pairs, pairs)),
    st.builds(Read, places, sizes, st.none(), st.sampled_from([0, 2]), st.sampled_from([0, 3])),
    st.builds(Flush, workers, st.sampled_from([(CLICKS,), (CONVERSIONS,), (CLICKS, CONVERSIONS, CREDITS)])),
    st.builds(Commit, workers),
    st.builds(Again, st.integers(0, 20)),
    st.builds(Echo, st.integers(0, 30)),
)
# Hypothesis makes lists little longer than their least size; a story needs room for a fault and for what comes of it.
chapters = st.builds(
    lambda known, then: known + then,
    st.lists(events, min_size=8, max_size=25),
    st.lists(st.one_of(*reads, *quiet, rare, events), min_size=20),
)


class Group:
    """The two workers of a stage."""

    def __init__(self, stage: int, cluster: Cluster) -> None:
        self.stage = STAGES[stage]
        self.cluster = cluster
        self.disks: list[dict[int, Any]] = [{}, {}]
        self.workers = [self.started(number) for number in range(2)]
        self.owners = (0, 1)

    def started(self, number: int) -> Worker:
        return self.stage(self.cluster, self.disks[number])

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


class Story:
    """Plays actions on two workers of each stage, then lets everything come to rest."""

    def __init__(self) -> None:
        self.cluster = Cluster(CatalogVersion(1, 0, 0, "test", "", CATALOG), PARTITIONS)
        self.groups = [Group(stage, self.cluster) for stage in range(len(STAGES))]
        self.events: list[Event] = []

    def worker(self, who: Who) -> Worker:
        return self.groups[who.stage].workers[who.number]

    def send(self, event: Event) -> None:
        self.events.append(event)
        record = event.record
        self.cluster.append(event.place, event.session, encode(record), record.occurred_at)

    async def play(self, action: Action) -> None:
        if isinstance(action, Event):
            self.send(action)
        elif isinstance(action, Again):
            self.send(self.events[action.number % len(self.events)])
        elif isinstance(action, Echo):
            self.cluster.echo(action.number)
        elif isinstance(action, Quiet):
            await self.read_all(STAGES[action.stage].topics)
        elif isinstance(action, Kill):
            group = self.groups[action.worker.stage]
            if action.lost is not None:
                group.disks[action.worker.number].pop(action.lost, None)
            await group.crash(action.worker.number)
        elif isinstance(action, Flush):
            self.worker(action.worker).flush(action.topics)
        elif isinstance(action, Deal):
            await self.groups[action.stage].deal(action.owners)
        elif isinstance(action, Commit):
            await self.worker(action.worker).commit()
        else:
            await self.poll(action)

    async def poll(self, read: Read) -> bool:
        group = self.groups[read.place.topic == CREDITS]
        owner = group.owners[read.place.partition]
        worker = group.workers[owner]
        if read.fault is not None:
            worker.crash_after, worker.produced_before_crash, worker.flushed_before_crash = read.fault
        try:
            return await worker.poll(read.place, read.size, skip=read.skip, back=read.back)
        except Crash:
            await group.crash(owner)
            return True
        finally:
            worker.crash_after = None

    async def read_all(self, topics: tuple[str, ...]) -> None:
        places = [place for place in self.cluster.logs if place.topic in topics]
        for _ in range(100):
            moved = [await self.poll(Read(place, 5)) for place in places]
            if not any(moved):
                break

    async def rest(self) -> None:
        """No more faults; everyone reads to the end."""
        await self.read_all((CLICKS, CONVERSIONS, CREDITS))
        for group in self.groups:
            for worker in group.workers:
                assert worker.agent.failure is None
                assert worker.done()
                await worker.commit()


def expected_claims(story: Story) -> dict[str, Credit]:
    """The core on each session's whole set, offline."""
    found = {}
    for session in {event.session for event in story.events}:
        mine = {encode(event.record): event.record for event in story.events if event.session == session}
        touches = SessionTouches(Touch(*record[:8]) for record in mine.values() if isinstance(record, Click))
        claims = [record for record in mine.values() if isinstance(record, Conversion)]
        decision = decide_session(session_text(session), claims, touches, story.cluster.catalogs, RUN)
        found.update({claim_key(credit): credit for credit in decision.credits})
    return found


def offline(story: Story) -> tuple[dict[str, bytes], dict[str, str]]:
    """What ``accredit credit`` says of the whole set: a line per order, and each conflicting claim with what stands."""
    history = History()
    for event in story.events:
        if isinstance(event.record, Click):
            history.add_click(event.record)
        else:
            history.add_conversion(event.record)
    standings, _, conflicts = history.settle(story.cluster.catalogs, RUN)
    lines = {standing.credit.conversion_id: line(standing) for standing in standings}
    said = {}
    for conversion, stands in conflicts:
        claim = stands._replace(
            session_id=conversion.session_id, amount=conversion.amount, currency=conversion.currency or "EUR"
        )
        said[claim_key(claim)] = f"came first with {stands.amount} {stands.currency} (session {stands.session_id})"
    return lines, said


def line(standing: Standing) -> bytes:
    return orjson.dumps(public_credit(standing))


def settled(cluster: Cluster) -> dict[str, bytes]:
    """The same lines from what both stages wrote: the claim that a settlement names, with its copies."""
    lines = {}
    for name, settlement in cluster.settlements.items():
        [claim] = (
            claim
            for claim in cluster.credits.values()
            if (claim.conversion_id, claim.session_id) == (name, settlement.session_id)
            and (claim.amount, claim.currency) == (settlement.amount, settlement.currency)
        )
        assert claim.version == settlement.claim_version
        lines[name] = line(Standing(claim, settlement.duplicates, []))
    return lines


async def tell(actions: list[Action]) -> Story:
    story = Story()
    for group in story.groups:
        await group.hand_out((0, 1))
    for action in actions:
        await story.play(action)
    await story.rest()
    return story


@given(chapters)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_final_is_that_of_the_whole_set(actions: list[Action]) -> None:
    with structlog.testing.capture_logs():
        story = asyncio.run(tell(actions))
    cluster = story.cluster
    claims = {claim: encode(credit) for claim, credit in cluster.credits.items()}
    assert claims == {claim: encode(credit) for claim, credit in expected_claims(story).items()}
    lines, conflicts = offline(story)
    assert settled(cluster) == lines
    letters = [letter for letter in cluster.dead_letters.values() if not letter.withdrawn]
    refused = {encode(event.record) for event in story.events if event.record[3] == "nobody"}
    assert {letter.original for letter in letters if letter.stage == "attribution"} == refused
    found = {claim_key(decode(letter.original)): letter.detail for letter in letters if letter.stage == "settlement"}
    assert found.keys() == conflicts.keys()
    assert all(conflicts[claim] in detail for claim, detail in found.items())
    for place, log in cluster.logs.items():
        assert cluster.committed.get(place, 0) == len(log)
