"""One partition number of a stage's topics: where reading starts, what is silent, what may be committed.

The rule of recovery. For each topic, C is the group's committed offset: everything before it was evaluated, and its
outputs were acknowledged. S is what the store has applied; it may lag (a crash loses the memtable), lead (a crash
before the commit) or be nothing (a lost store). Reading starts at min(S, C).

- Below C records are *silent*: stored, not evaluated.
- From C on they are *live*: stored, and their sessions evaluated.
- Nothing is live in a partition before all its topics have reached their C. A live click would otherwise find its
  conversion not yet stored again, and nothing would ask for that session later. Until then the topic that is there
  first is held: its batches are dropped here and read again.
- Offsets between C and S are live a second time. Rows and credits are the same ones, so that is harmless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import dropwhile, takewhile
from typing import Generic, NamedTuple, TypeVar

from processors.runtime.batches import LogRecord, RecordBatch
from processors.store import LogStore

Store = TypeVar("Store", bound=LogStore)


class LogEnds(NamedTuple):
    """One topic partition as Kafka has it: first offset, offset behind the last record, the group's commit."""

    first: int
    behind: int
    committed: int | None


class Verdict(Enum):
    """What to do with a batch beyond its part that is due."""

    DONE = "nothing of it is left"
    HELD = "its topic waits for the other one"
    GAP = "something before it has not come: read again from the position"


class Part(NamedTuple):
    """The next records of a batch that are due, up to offset ``end``. All silent, or all live."""

    topic: str
    end: int
    records: Sequence[LogRecord]
    live: bool


class Partition(Generic[Store]):
    """Positions and store of one partition number. No IO but the store's; not shared between threads."""

    def __init__(self, number: int, store: Store, log: Mapping[str, LogEnds], now: int) -> None:
        """``log`` has the store's topics; ``now`` (ms) dates a store that cannot be filled from the beginning."""
        self.number = number
        self.store = store
        self.topics = store.topics
        self.position: dict[str, int] = {}
        """Per topic: the offset that is applied next."""
        self.live_from: dict[str, int] = {}
        """Per topic: where records begin to be evaluated."""
        self.behind = {topic: log[topic].behind for topic in self.topics}
        """Per topic: where the log ended when it was assigned."""
        self.committable: dict[str, int] = {}
        """Per topic: the offset up to which all is evaluated and acknowledged. Empty until something is."""
        applied = dict(zip(self.topics, store.applied(), strict=True))
        for topic in self.topics:
            first, behind, committed = log[topic]
            if committed is None or not first <= committed <= behind:
                committed = first  # no commit yet, or one of a log that is gone: all of this log is live
            stored = applied[topic]
            if stored is None or not first <= stored <= behind:
                stored = first
            self.live_from[topic] = committed
            self.position[topic] = min(stored, committed)
        if applied[self.topics[0]] is None:
            store.begin(0 if log[self.topics[0]].first == 0 else now, now)

    @property
    def recovering(self) -> bool:
        """Whether something committed is still missing in the store."""
        return any(self.position[topic] < self.live_from[topic] for topic in self.topics)

    @property
    def to_recover(self) -> int:
        """How many offsets are still to be applied silently."""
        return sum(max(self.live_from[topic] - self.position[topic], 0) for topic in self.topics)

    def held(self, topic: str) -> bool:
        """Whether the topic waits until the other has recovered."""
        return self.recovering and self.position[topic] >= self.live_from[topic]

    def next_part(self, batch: RecordBatch) -> Part | Verdict:
        """What of a batch is to be applied now. Ask again after ``applied`` until it is a verdict.

        Batches that come twice, late or after a lost one are recognised by their offsets.
        """
        position = self.position[batch.topic]
        if batch.end <= position:
            return Verdict.DONE
        if batch.begin > position:
            return Verdict.HELD if self.held(batch.topic) else Verdict.GAP
        if self.held(batch.topic):
            return Verdict.HELD
        live = not self.recovering
        end = batch.end if live else min(batch.end, self.live_from[batch.topic])
        records = batch.records
        if batch.begin < position:
            records = list(dropwhile(lambda record: record.offset < position, records))
        if end < batch.end:
            records = list(takewhile(lambda record: record.offset < end, records))
        return Part(batch.topic, end, records, live)

    def applied(self, part: Part) -> None:
        """The part is in the store."""
        self.position[part.topic] = part.end

    def evaluated(self, part: Part) -> None:
        """Everything that follows from a live part is acknowledged: its offset may be committed."""
        self.committable[part.topic] = part.end

    def put(self, topic: str, rows: Sequence[tuple[bytes, bytes]], end: int) -> None:
        """Rows of one topic into the store, with the offset behind them."""
        self.store.put(topic, rows, end)
