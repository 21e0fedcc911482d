"""Large sessions kept decoded between batches, so that the cost of a decision does not grow with its session.

To read a session again from the store for each of its events would cost as much as it has touches. What is kept equals
what the store has: rows are added in the batch that stores them, and all of a partition is forgotten when a batch of
it fails, when its store is filled silently, and when it is dealt out anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from weakref import ref

from processors.runtime.evaluate import SessionEvents, read_session
from processors.runtime.intake import Intake
from processors.runtime.partition import Partition
from processors.store import TouchStore
from processors.store.touch_store import SESSION_BYTES

KEPT_EVENTS = 250_000
"""Over all sessions of the worker; some 600 bytes each."""
KEPT_FROM = 50
"""A session with fewer events is read from the store faster than it is worth remembering."""


class Sessions:
    """The sessions last evaluated, up to ``limit`` events of them; the latest is kept however large it is."""

    def __init__(self, limit: int = KEPT_EVENTS, smallest: int = KEPT_FROM) -> None:
        self._limit = limit
        self._smallest = smallest
        self._kept: OrderedDict[tuple[int, bytes], SessionEvents] = OrderedDict()
        self._sizes: dict[tuple[int, bytes], int] = {}
        self._size = 0
        self._of: dict[int, ref[Partition[TouchStore]]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def learn(
        self, partition: Partition[TouchStore], topic: str, intake: Intake
    ) -> dict[bytes, Collection[str] | None]:
        """Add what was just stored to the sessions that are kept. Returns what is owed, as in ``Intake.sessions``.

        Nothing is owed for a copy that a kept session has already: what follows from it was acknowledged.
        """
        number = partition.number
        known_as = self._of.get(number)
        if known_as is None or known_as() is not partition:
            self.forget(number)
            self._of[number] = ref(partition)
        owed: dict[bytes, Collection[str] | None] = dict(intake.sessions)
        kept = {session: self._kept[number, session] for session in owed if (number, session) in self._kept}
        if not kept:
            return owed
        changed = set()
        for key, value in intake.rows:
            one = kept.get(key[:SESSION_BYTES])
            if one is not None and one.add(topic, value):
                changed.add(one.session)
        for session, events in kept.items():
            self._weigh((number, session), events)
        for session in kept.keys() - changed:
            del owed[session]
        return owed

    def read(self, partition: Partition[TouchStore], session: bytes) -> SessionEvents:
        """A session as the store has it now, from memory if it is kept."""
        place = (partition.number, session)
        events = self._kept.get(place)
        if events is not None:
            self._kept.move_to_end(place)
            return events
        events = read_session(partition.store, session)
        if events.size >= self._smallest:
            self._kept[place] = events
            self._weigh(place, events)
            while self._size > self._limit and len(self._kept) > 1:
                self._drop(next(iter(self._kept)))
        return events

    def forget(self, number: int) -> None:
        """Keep nothing of this partition."""
        for place in [place for place in self._kept if place[0] == number]:
            self._drop(place)

    def _weigh(self, place: tuple[int, bytes], events: SessionEvents) -> None:
        self._size += events.size - self._sizes.get(place, 0)
        self._sizes[place] = events.size

    def _drop(self, place: tuple[int, bytes]) -> None:
        del self._kept[place]
        self._size -= self._sizes.pop(place)
