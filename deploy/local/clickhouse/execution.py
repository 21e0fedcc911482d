"""Running one statement: a place in the queue, a connection, a thread for the engine's blocking calls.

SELECTs stream block by block, so memory does not grow with the answer. INSERTs push the body on as it comes. Reading
and writing have places of their own: long SELECTs do not keep inserts waiting.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from deploy.local.clickhouse import formats
from deploy.local.clickhouse.engine import Connection, Engine, Inserter, Result, Stream, apply, check_rights, restoring
from deploy.local.clickhouse.errors import ServerError, engine_error, readonly
from deploy.local.clickhouse.request import Request
from deploy.local.clickhouse.sessions import Session, Sessions
from deploy.local.clickhouse.statement import Kind, Statement
from deploy.local.clickhouse.users import Access, User

log = structlog.get_logger(__name__)
T = TypeVar("T")

APPEND_BYTES = 1 << 20
"""INSERT data goes to the engine in pieces of at least this size: each is a hop to a thread."""

_ANY_HEADER = b"\0\n"
"""A block from which every format with a header would cut something."""

KILL_GRACE_S = 5
"""What a killed query gets to end in when the process stops."""

WHOLE_RESULT_BYTES = 256 << 20
"""Most that a result may have (in the engine's columns) where its format cannot stream."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much runs at once: queries, inserts, and how many of each may wait."""

    reads: int = 6
    writes: int = 4
    waiting: int = 100


@dataclass(slots=True)
class Summary:
    """What X-ClickHouse-Summary reports."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    started: float = field(default_factory=time.perf_counter)

    def add(self, result: Result, size: int) -> None:
        self.read_rows += max(result.storage_rows_read(), 0)
        self.read_bytes += max(result.storage_bytes_read(), 0)
        self.written_rows += result.rows_written()
        self.written_bytes += result.bytes_written()
        self.result_rows += result.rows_read()
        self.result_bytes += size

    def header(self) -> dict[str, str]:
        elapsed = int((time.perf_counter() - self.started) * 1e9)
        names = ("read_rows", "read_bytes", "written_rows", "written_bytes", "result_rows", "result_bytes")
        counted = {name: str(getattr(self, name)) for name in names}
        return {**counted, "total_rows_to_read": "0", "elapsed_ns": str(elapsed)}


class Places:
    """So many at once, so many waiting, then a refusal."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._most = waiting

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        if self._waiting >= self._most:
            raise ServerError(
                202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many simultaneous queries: {self._most} are waiting already"
            )
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()


class Runner:
    """Runs statements on one engine. For the event loop; the engine's calls go to threads."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine = engine
        self.sessions = Sessions(time.monotonic, lambda connection: connection.close())
        self.running: set[str] = set()
        self._ended = asyncio.Event()
        self._reads = Places(limits.reads, limits.waiting)
        self._writes = Places(limits.writes, limits.waiting)
        self._threads = ThreadPoolExecutor(limits.reads + limits.writes + 2, thread_name_prefix="query")

    @contextlib.asynccontextmanager
    async def run(self, request: Request, user: User, statement: Statement, get: bool) -> AsyncIterator["Run"]:
        """A place and a connection for one statement, given back at the end. Raises `ServerError`."""
        session = self.sessions.take(user.name, request.session) if request.session else None
        try:
            async with self._place(statement):
                run = Run(self, request, user, statement, session)
                try:
                    await run.open(get)
                    yield run
                finally:
                    await asyncio.shield(run.close())
        finally:
            if session is not None and request.session is not None:
                self.sessions.give_back(user.name, request.session, session)

    def _place(self, statement: Statement) -> contextlib.AbstractAsyncContextManager[None]:
        """SELECTs among themselves, KILL at once, all else with the inserts."""
        if statement.first == "KILL":
            return contextlib.nullcontext()
        return (self._reads if statement.kind is Kind.SELECT else self._writes).place()

    async def call(self, user: User, kill: str, function: Callable[..., T], *args: object) -> T:
        """Call the blocking `function` in a thread; its errors come as `ServerError`.

        When the client goes away meanwhile, the query that carries the comment `kill` (if any) is stopped, and the
        thread waited for: the connection is never closed under it.
        """
        future = asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if kill:
                await asyncio.to_thread(self.engine.kill, kill)
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()
            raise
        except ServerError:
            raise
        except Exception as error:
            raise engine_error(error, user.name) from error

    def ended(self, comment: str) -> None:
        """A run is over, its connection given back."""
        self.running.discard(comment)
        self._ended.set()

    async def stop(self, grace_s: float) -> None:
        """Wait up to `grace_s` seconds for what runs, then kill it; then close the sessions and the threads."""
        if not await self._idle(grace_s):
            for comment in list(self.running):
                log.warning("query_killed_at_stop", query_id=comment)
                await asyncio.to_thread(self.engine.kill, comment)
            await self._idle(KILL_GRACE_S)
        self.sessions.close()
        self._threads.shutdown(wait=not self.running)

    async def _idle(self, timeout_s: float) -> bool:
        """Wait until nothing runs; whether that was within the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.running:
                    self._ended.clear()
                    await self._ended.wait()
        return not self.running


class Run:
    """One statement with its connection."""

    def __init__(
        self, runner: Runner, request: Request, user: User, statement: Statement, session: Session | None
    ) -> None:
        self.summary = Summary()
        self.format = statement.format or request.default_format
        self._runner, self._request, self._user, self._statement = runner, request, user, statement
        self._session = session
        self._connection: Connection | None = None
        self._restore: list[str] = []
        self._comment = request.settings.get("log_comment") or f"{request.query_id}"

    async def _call(self, function: Callable[..., T], *args: object, kill: bool = False) -> T:
        return await self._runner.call(self._user, self._comment if kill else "", function, *args)

    @property
    def connection(self) -> Connection:
        assert self._connection is not None
        return self._connection

    async def open(self, get: bool) -> None:
        """Connect, apply the settings, check the rights. Raises `ServerError`."""
        self._runner.running.add(self._comment)
        await self._call(self._open, get)

    def _open(self, get: bool) -> None:
        request, session = self._request, self._session
        pinned = session is not None and session.connection is not None
        if session is not None and session.connection is not None:
            self._connection = session.connection
            if get and self._statement.kind is not Kind.SELECT and self._user.access is Access.FULL:
                raise readonly(self._user.name)
        else:
            self._connection = self._runner.engine.connect(
                self._user, read_only=get and self._statement.kind is not Kind.SESSION
            )
            if get and self._statement.kind is Kind.SESSION and self._statement.first not in ("SET", "USE"):
                raise readonly(self._user.name)
        settings = {"max_result_bytes": str(WHOLE_RESULT_BYTES)} if not self._streams() else {}
        if self._statement.kind is Kind.SESSION:
            settings = dict(request.settings)
        else:
            settings |= {"log_comment": self._comment} | request.settings
        if pinned:
            self._restore = restoring(self.connection, list(settings))
            if request.database:
                current = self.connection.query("SELECT currentDatabase()", "RawBLOB").bytes().decode()
                self._restore.append(f"USE {_identifier(current)}")
        apply(self.connection, settings, request.params)
        if request.database:
            self.connection.query(f"USE {_identifier(request.database)}", "Null")
        check_rights(self.connection, self._user, self._statement, get)

    def _streams(self) -> bool:
        return self._statement.kind is Kind.SELECT and self._cutter() is not None

    def _cutter(self) -> Callable[[bytes], int] | None:
        words = set(self._statement.words)
        words.update(name.upper() for name in self._request.settings)
        if self._session is not None:
            words |= self._session.words
        return formats.header_cutter(self.format, frozenset(words))

    async def close(self) -> None:
        """Give the connection back to its session, or close it."""
        connection, self._connection = self._connection, None
        try:
            if connection is None:
                return
            if self._session is not None and self._session.connection is connection:
                for statement in self._restore:
                    await self._call(connection.query, statement, "Null")
            else:
                await self._call(connection.close)
        finally:
            self._runner.ended(self._comment)

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """The answer to anything but an INSERT with data, in pieces. Raises `ServerError`, also midway."""
        cutter = self._cutter() if self._statement.kind is Kind.SELECT else None
        if cutter is None:
            yield await self._whole()
            return
        try:
            stream, block = await self._call(self._begin, kill=True)
        except ServerError as error:
            if "Streaming query is not supported" not in error.message:
                raise
            yield await self._whole()  # WITH … INSERT and the like
            return
        if block is None and cutter(_ANY_HEADER) != 0:
            yield await self._whole()  # no rows: the header alone
        first = True
        try:
            while block is not None:
                data = block.bytes()
                self.summary.add(block, len(data))
                yield data if first else data[cutter(data) :]
                first = False
                block = await self._call(stream.fetch, kill=True)
        finally:
            if block is not None:
                await asyncio.shield(self._call(stream.cancel))

    def _begin(self) -> tuple[Stream, Result | None]:
        stream = self.connection.send_query(self._statement.text, self.format)
        return stream, stream.fetch()

    async def _whole(self) -> bytes:
        result = await self._call(
            self.connection.query, self._statement.text, self.format, kill=self._statement.kind is Kind.SELECT
        )
        data = result.bytes()
        self.summary.add(result, len(data))
        if self._statement.kind is Kind.SESSION and self._session is not None and self._session.connection is None:
            self._runner.sessions.pin(self._session, self.connection)
        if self._statement.kind is Kind.SESSION and self._session is not None:
            self._session.words |= self._statement.words
        return data

    async def insert(self, data: AsyncIterator[bytes]) -> None:
        """Run an INSERT whose data comes in pieces; nothing of an unfinished body is committed by us."""
        text = self._statement.text.decode("utf-8", "surrogateescape")
        inserter: Inserter = await self._call(self.connection.send_insert, text, self.format)
        try:
            waiting, size = list[bytes](), 0
            async for piece in data:
                waiting.append(piece)
                size += len(piece)
                if size >= APPEND_BYTES:
                    await self._call(inserter.append, b"".join(waiting))
                    waiting, size = [], 0
            if waiting:
                await self._call(inserter.append, b"".join(waiting))
        except BaseException:
            await asyncio.shield(self._call(_cancel, inserter))
            raise
        done = await self._call(inserter.finish)
        self.summary.written_rows = self.summary.result_rows = done.rows_written
        self.summary.written_bytes = self.summary.result_bytes = done.bytes_written


def _cancel(inserter: Inserter) -> None:
    with contextlib.suppress(RuntimeError):
        inserter.cancel()


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
