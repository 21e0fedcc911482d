"""What the store no longer has of a session: ClickHouse's history of its touches (DESIGN 4).

A conversion whose window reaches back before the store is complete is decided on the union of both. What ClickHouse may
still lack is young, and therefore in the store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import structlog

from processors.core import CompiledLog, Touch
from processors.errors import HistoryGone
from processors.runtime.evaluate import Owed
from schemas.ids import session_key, session_text

log = structlog.get_logger(__name__)

AGAIN_S = 1.0
QUERY = """
SELECT toString(session_id), click_id, toUnixTimestamp64Milli(occurred_at), toUnixTimestamp64Milli(received_at),
    type, partner_id, offer_id, invalid, country
FROM {database}.clicks WHERE session_id IN {{sessions:Array(UUID)}}
"""


class History(Protocol):
    """Where older touches are."""

    async def touches(self, sessions: Collection[bytes]) -> Mapping[bytes, Sequence[Touch]]:
        """Every touch that it has of these sessions. WorkerStopped when it stays away."""


class NoHistory:
    """For a worker that was given no ClickHouse: the store is all there is."""

    async def touches(self, sessions: Collection[bytes]) -> Mapping[bytes, Sequence[Touch]]:
        """Nothing."""
        return {}


class ClickHouseHistory:
    """The clicks table, one query for all sessions. Asked again for ``patience_s`` seconds while it is away."""

    def __init__(self, url: str, patience_s: float, database: str = "accredit") -> None:
        self._url = url
        self._patience_s = patience_s
        self._query = QUERY.format(database=database)
        self._client: Any = None

    async def touches(self, sessions: Collection[bytes]) -> Mapping[bytes, Sequence[Touch]]:
        """See ``History.touches``. HistoryGone after ``patience_s``."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(None, self._ask, list(sessions))
            except Exception as error:  # whatever the client raises: it is asked again
                self._client = None
                if time.monotonic() > deadline:
                    raise HistoryGone(self._url, str(error).partition("\n")[0]) from error
                log.warning("history_away", error=str(error).partition("\n")[0])
            await asyncio.sleep(AGAIN_S)

    def _ask(self, sessions: list[bytes]) -> dict[bytes, list[Touch]]:
        if self._client is None:
            import clickhouse_connect

            self._client = clickhouse_connect.get_client(dsn=self._url, autogenerate_session_id=False)
        names = [session_text(session) for session in sessions]
        found: dict[bytes, list[Touch]] = {}
        for session, *fields in self._client.query(self._query, parameters={"sessions": names}).result_rows:
            found.setdefault(session_key(session), []).append(Touch._make(fields))
        return found


def reaches_back(owed: Owed, complete_since: int, catalogs: CompiledLog) -> bool:
    """Whether a touch that the store may have lost can count for a conversion that is owed."""
    return any(
        conversion.occurred_at - catalogs.in_effect(conversion.received_at)[1].longest_window < complete_since
        for conversion in owed.events.events(owed.ids)
    )
