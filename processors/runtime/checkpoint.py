"""The order in which a part of the log becomes credits, and what a crash right after each step costs.

1. The rows and the offset behind them go into the store, in one atomic write (memory; the disk follows at 6).
   A crash loses the write or keeps it with its offset; the part was not committed, so it is read and evaluated again.
2. Wait until no catalog version that decides the conversions concerned can be missing.
   A crash here costs what one after 1 does.
3. Each session that the part touches is evaluated once, on everything the store now has, and the credits that change
   are produced.
   So are the dead letters of what could not be used.
   A crash may leave some of them in Kafka. The same ones follow, or greater versions: readers keep the greatest.
4. All of them are acknowledged.
   A crash here: all are in Kafka, and come a second time.
5. The offset may be committed; Faust commits within ``commit_interval_s``.
   A crash before that commit: as after 4. After it the part is behind us.
6. The store flushes when a memtable is full, when it closes, or never.
   A crash before it: the store is behind the commit; the log is read again from the store's offset, silently up to the
   commit (``partition``), and nothing is produced for it.

Silent parts stop after 1: what follows from them was acknowledged before their offset was committed.
An error in any step leaves the offset uncommitted; it stops the worker, but for a damaged store, which is rebuilt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from processors.core import CompiledLog
from processors.runtime.dead_letters import of_events, of_record
from processors.runtime.evaluate import Owed, decide_events
from processors.runtime.history import History, NoHistory, reaches_back
from processors.runtime.intake import take
from processors.runtime.metrics import Metrics
from processors.runtime.outputs import Outputs
from processors.runtime.partition import Part, Partition
from processors.runtime.sessions import Sessions
from processors.store import TouchStore

SESSIONS_AT_ONCE = 200  # decoded in memory together; between two lots the event loop gets its turn


class Catalogs(Protocol):
    """What the checkpoint asks of the catalog log."""

    @property
    def compiled(self) -> CompiledLog: ...

    async def known_for(self, received_at: int) -> None: ...


class Checkpoint:
    """Takes parts through the steps. ``clock`` gives milliseconds; it dates dead letters and nothing else."""

    def __init__(
        self,
        catalogs: Catalogs,
        outputs: Outputs,
        metrics: Metrics,
        run_id: str,
        clock: Callable[[], int],
        history: History | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self._catalogs = catalogs
        self._history = history or NoHistory()
        self._sessions = sessions or Sessions()
        self._outputs = outputs
        self._metrics = metrics
        self._run_id = run_id
        self._clock = clock

    async def advance(self, partition: Partition[TouchStore], part: Part) -> None:
        """Steps 1 to 5 for a part. Raises what ``processors.errors`` lists."""
        intake = take(part, partition.store.converted)
        partition.put(part.topic, intake.rows, part.end)  # 1
        partition.applied(part)
        self._metrics.records.labels(part.topic).inc(len(part.records))
        if not part.live:
            self._sessions.forget(partition.number)
            self._metrics.silent_records.inc(len(part.records))
            self._metrics.ended(len(part.records))
            return
        owed = self._sessions.learn(partition, part.topic, intake)
        try:
            await self._evaluate(partition, owed)  # 2, 3
            for refused in intake.refused:
                self._outputs.dead_letter(of_record(part.topic, partition.number, refused, self._clock()))
            with self._metrics.acknowledge_seconds.time():
                await self._outputs.acknowledged()  # 4
        except BaseException:
            self._sessions.forget(partition.number)
            raise
        partition.evaluated(part)  # 5
        self._metrics.ended(len(part.records))

    async def _evaluate(
        self, partition: Partition[TouchStore], sessions: Mapping[bytes, Collection[str] | None]
    ) -> None:
        lot: list[Owed] = []
        for session, ids in sessions.items():
            lot.append(Owed(self._sessions.read(partition, session), ids))
            if len(lot) == SESSIONS_AT_ONCE:
                await self._decide(partition, lot)
                lot.clear()
                await asyncio.sleep(0)
        if lot:
            await self._decide(partition, lot)

    async def _decide(self, partition: Partition[TouchStore], lot: list[Owed]) -> None:
        await self._catalogs.known_for(max(owed.latest_received_at for owed in lot))
        await self._complete(partition.store, lot)
        for owed in lot:
            credits, unusable = decide_events(owed, self._catalogs.compiled, self._run_id)
            for credit in credits:
                self._outputs.credit(credit)
            for letter in of_events(partition.number, unusable, self._clock()):
                self._outputs.dead_letter(letter)
        self._metrics.evaluations.inc(len(lot))

    async def _complete(self, store: TouchStore, lot: list[Owed]) -> None:
        """Add what the store may have lost and a decision may need."""
        since = store.complete_since(self._clock())
        if not since:
            return
        compiled = self._catalogs.compiled
        short = {
            owed.events.session: owed.events
            for owed in lot
            if not owed.events.complete and reaches_back(owed, since, compiled)
        }
        if short:
            self._metrics.from_history.inc(len(short))
            for session, touches in (await self._history.touches(short.keys())).items():
                for touch in touches:
                    short[session].touches.add(touch)
            for events in short.values():
                events.complete = True
