"""``Idempotency-Key``: the same request again gets the first one's answer (draft-ietf-httpapi-idempotency-key-header).

The answers are in one SQLite file of the data folder, which the worker processes of a machine share: a retry reaches
another process as often as not, and often because the first one was restarted, so memory per process would miss just
the retries that matter. It is a courtesy to senders and not what keeps the numbers right (the events' own ids make a
repetition harmless), therefore: commits are not fsynced (a power cut may forget the last answers), a file that cannot
be used is logged and the request is served as if it had no key, and two machines behind one balancer do not share it.

A key belongs to its sender (``Sender.name``). Only 202 is kept: what was refused as a whole or could not be made
durable may be sent again, mended, under the same key.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sqlite3
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, TypeVar

import structlog
import zstandard
from pydantic import AfterValidator, BaseModel, ConfigDict, PositiveInt

from ingest.errors import Refusal
from ingest.http import JSON, NO_STORE, Answer
from schemas.times import parse_duration

log = structlog.get_logger(__name__)

HEADER = "idempotency-key"
KEY = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')
"""A structured field string, as the draft says, or the bare text that most senders use."""
PRUNE_EVERY = 50
BUSY_S = 5.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    slot BLOB PRIMARY KEY, request BLOB NOT NULL, until INTEGER NOT NULL, size INTEGER NOT NULL, body BLOB
);
CREATE INDEX IF NOT EXISTS answers_by_age ON answers (until, size);
"""
Result = TypeVar("Result")


def duration(text: str) -> str:
    parse_duration(text)
    return text


class IdempotencyConfig(BaseModel):
    """Section ``idempotency`` of ingest.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: Annotated[str, AfterValidator(duration)] = "24h"
    """How long an answer is given again."""
    limit_mb: PositiveInt = 256
    """What all answers together may take; the oldest go first."""


class Idempotency:
    """The answers of one data folder. One per process; opened when the first key comes."""

    def __init__(self, folder: Path, config: IdempotencyConfig, now: Callable[[], int], lease_ms: int) -> None:
        """``lease_ms``: how long a request may be in flight; after that its process is taken for dead."""
        self._path = folder / "idempotency.sqlite"
        self._keep_ms = parse_duration(config.keep)
        self._limit = config.limit_mb << 20
        self._now = now
        self._lease_ms = lease_ms
        self._thread: ThreadPoolExecutor | None = None
        self._opened: sqlite3.Connection | None = None
        self._stored = 0

    async def once(
        self, owner: str, header: str | None, path: str, body: bytes, work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The answer of ``work``, or the kept one. Refusal: 400 for no key at all, 409 in flight, 422 another body."""
        if header is None:
            return await work()
        key = key_of(header)
        slot = digest(owner, key)
        request = digest(path, body)
        try:
            found = await self._on_thread(lambda: self._claim(slot, request))
        except sqlite3.Error as error:
            log.warning("idempotency_unavailable", file=str(self._path), error=str(error))
            return await work()
        if found is not None:
            return found
        try:
            answer = await work()
        except BaseException:
            await self._settle(slot, request, None)
            raise
        await self._settle(slot, request, answer.body if answer.status == HTTPStatus.ACCEPTED else None)
        return answer

    async def _settle(self, slot: bytes, request: bytes, body: bytes | None) -> None:
        try:
            await asyncio.shield(self._on_thread(lambda: self._keep(slot, request, body)))
        except sqlite3.Error as error:
            log.warning("idempotency_unavailable", file=str(self._path), error=str(error))

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        """SQLite may wait for another process; requests without a key must not."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="idempotency")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # Below here: that thread.

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            opened = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            opened.execute("PRAGMA journal_mode = WAL")
            opened.execute("PRAGMA synchronous = NORMAL")
            opened.executescript(SCHEMA)
            weakref.finalize(self, opened.close)
            self._opened = opened
        return self._opened

    def _claim(self, slot: bytes, request: bytes) -> Answer | None:
        """The kept answer, or None: the slot is ours to fill."""
        connection = self._connection()
        now = self._now()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT request, until, body FROM answers WHERE slot = ?", (slot,)).fetchone()
            if row is None or row[1] <= now:
                values = (slot, request, now + self._lease_ms)
                connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, 0, NULL)", values)
                return None
        if row[0] != request:
            detail = "this Idempotency-Key came with another body before; a new request needs a new key"
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED", detail)
        if row[2] is None:
            detail = "the first request with this Idempotency-Key is still in flight; come again for its answer"
            headers = [("retry-after", "1")]
            raise Refusal(HTTPStatus.CONFLICT, "IDEMPOTENCY_KEY_IN_FLIGHT", detail, headers=headers)
        body = zstandard.decompress(row[2])
        return Answer(HTTPStatus.ACCEPTED, [JSON, NO_STORE, ("idempotency-replayed", "true")], body)

    def _keep(self, slot: bytes, request: bytes, body: bytes | None) -> None:
        """Fill the slot, or free it; unless another request has it now, because ours took longer than the lease."""
        connection = self._connection()
        if body is None:
            connection.execute("DELETE FROM answers WHERE slot = ? AND request = ? AND body IS NULL", (slot, request))
            return
        now = self._now()
        packed = zstandard.compress(body)
        values = (packed, len(packed), now + self._keep_ms, slot, request)
        connection.execute("UPDATE answers SET body = ?, size = ?, until = ? WHERE slot = ? AND request = ?", values)
        self._stored += 1
        if self._stored % PRUNE_EVERY == 1:
            connection.execute("DELETE FROM answers WHERE until <= ?", (now,))
            newest_first = "SELECT slot, sum(size) OVER (ORDER BY until DESC, slot) AS total FROM answers"
            beyond = f"SELECT slot FROM ({newest_first}) WHERE total > ?"
            connection.execute(f"DELETE FROM answers WHERE size > 0 AND slot IN ({beyond})", (self._limit,))


def key_of(header: str) -> str:
    """The key in the header. Refusal 400 for anything that is none."""
    found = KEY.fullmatch(header.strip())
    if found is None:
        detail = "send 1 to 255 printable ASCII characters, like a UUID, in double quotes or bare"
        raise Refusal(HTTPStatus.BAD_REQUEST, "INVALID_IDEMPOTENCY_KEY", detail, field="Idempotency-Key")
    return found[1] or found[2]


def digest(name: str, content: str | bytes) -> bytes:
    rest = content.encode() if isinstance(content, str) else content
    state = hashlib.blake2b(f"{len(name)}:{name}".encode(), digest_size=16)
    state.update(rest)
    return state.digest()
