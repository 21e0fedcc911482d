"""chDB as the engine of this process: opened once, a connection for each request.

A connection costs 0.3 ms and takes its settings, role and temporary tables with it when it closes, so nothing of one
request reaches the next. Two roles (see `engine_config.py`) bound what a connection may do; the engine enforces them.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Protocol, cast

import structlog

from deploy.local.clickhouse import engine_config
from deploy.local.clickhouse.errors import ServerError, StartError, access_denied, engine_error, readonly
from deploy.local.clickhouse.statement import Kind, Statement, read_statement
from deploy.local.clickhouse.users import Access, User

log = structlog.get_logger(__name__)

READING = frozenset(("SELECT", "WITH", "FROM", "(", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "SET", "USE"))
"""First words of the statements that a read-only user, or GET, may send. The engine checks the statements too."""

_MACHINE = frozenset(("FILE", "EXECUTABLE", "PYTHON"))
"""Functions that reach files and objects of this machine, which no grant of the engine covers."""

_SETTING_NAME = re.compile(r"[A-Za-z_]\w*")


class Result(Protocol):
    """chDB's result, or one block of a streamed one."""

    def bytes(self) -> bytes: ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...


class Stream(Protocol):
    """A streamed result."""

    def fetch(self) -> Result | None: ...
    def cancel(self) -> None: ...


class Inserted(Protocol):
    """What an INSERT wrote."""

    rows_written: int
    bytes_written: int


class Inserter(Protocol):
    """A streamed INSERT."""

    def append(self, data: bytes) -> None: ...
    def finish(self) -> Inserted: ...
    def cancel(self) -> None: ...


class Connection(Protocol):
    """chDB's connection. Blocks; one thread at a time."""

    def query(self, query: str | bytes, format: str) -> Result: ...
    def send_query(self, query: str | bytes, format: str) -> Stream: ...
    def send_insert(self, query: str, format: str) -> Inserter: ...
    def close(self) -> None: ...


def quoted(value: str) -> str:
    """A string literal of ClickHouse's SQL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class Engine:
    """The engine on one data folder; one process at a time. All methods block."""

    def __init__(self, folder: Path, memory_bytes: int) -> None:
        """`folder` gets `data/` and the engine's configuration; `memory_bytes` bounds the whole process."""
        self._folder = folder.resolve()
        self._memory_bytes = memory_bytes
        self._lock: IO[str] | None = None
        self._keeper: Connection | None = None
        self.version = self.timezone = ""
        self.compresses_answers = False

    def open(self) -> None:
        """Take the folder, start the engine. Raises `StartError` if another process has the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(
                f"the data folder {self._folder} is in use by another process: stop it, or name another --data folder"
            ) from error
        engine_config.write(self._folder, self._memory_bytes)
        # The path goes to chDB inside a URL-like string: a relative one is safe whatever the folder is called.
        os.chdir(self._folder)
        self._keeper = _connect(f"data?config-file={engine_config.CONFIG_FILE}")
        self._keeper.query(f"DROP DATABASE IF EXISTS {engine_config.EMBEDDED_DATABASE}", "Null")
        answer = self._keeper.query(
            "SELECT version(), timezone(), getSetting('enable_http_compression')::UInt8", "TabSeparated"
        )
        self.version, self.timezone, compresses = answer.bytes().decode().split()
        self.compresses_answers = compresses == "1"
        log.info("engine_open", folder=str(self._folder), version=self.version)

    def close(self) -> None:
        """Close the engine; connections must be closed before. What was inserted is on disk already."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def connect(self, user: User, read_only: bool) -> Connection:
        """A fresh connection with the rights of `user`; `read_only` forbids writing besides (GET)."""
        connection = _connect("data")
        role = engine_config.READING_ROLE if user.access is Access.READ else engine_config.OWNER_ROLE
        try:
            connection.query(f"SET ROLE {role}", "Null")
            if read_only or user.access is Access.READ:
                connection.query("SET readonly = 2", "Null")
        except BaseException:
            connection.close()
            raise
        return connection

    def kill(self, comment: str) -> None:
        """Stop the running query whose `log_comment` is `comment`."""
        if self._keeper is not None:
            self._keeper.query(f"KILL QUERY WHERE Settings['log_comment'] = {quoted(comment)} ASYNC", "Null")


def apply(connection: Connection, settings: Mapping[str, str], params: Mapping[str, str]) -> None:
    """Set settings and query parameters, in this order; the engine refuses what it does not know."""
    for name in [*settings, *params]:
        if not _SETTING_NAME.fullmatch(name):
            raise ServerError(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
    changes = [f"{name} = {quoted(value)}" for name, value in settings.items()]
    changes += [f"param_{name} = {quoted(value)}" for name, value in params.items()]
    if changes:
        connection.query("SET " + ", ".join(changes), "Null")


def restoring(connection: Connection, names: Iterable[str]) -> list[str]:
    """Statements that bring these settings back to what they are now."""
    listed = ", ".join(quoted(name) for name in names)
    if not listed:
        return []
    answer = connection.query(
        f"SELECT 'SET ' || name || ' = ' || if(changed, '''' || replaceAll(replaceAll(value, '\\\\', '\\\\\\\\'), "
        f"'''', '\\\\''') || '''', 'DEFAULT') FROM system.settings WHERE name IN ({listed})",
        "TabSeparatedRaw",
    )
    return answer.bytes().decode().splitlines()


def check_rights(connection: Connection, user: User, statement: Statement, read_only: bool) -> None:
    """Refuse what the engine's own rights do not cover. Raises `ServerError`.

    For a read-only user the engine's parser writes the statement anew, and that text is judged: it holds one statement,
    no comments, and no disguise that this process's lexer might read differently.
    """
    reader = user.access is Access.READ
    if (reader or read_only) and statement.first not in READING:
        raise readonly(user.name)
    judged, named = statement, statement.calls
    if reader:
        text = statement.text.decode("utf-8", "surrogateescape")
        judged = read_statement(_as_parsed(connection, text))
        named = judged.words
        if judged.first not in READING:
            raise readonly(user.name)
        if judged.kind is Kind.SESSION and "ROLE" in judged.words:
            raise access_denied(user.name, "Roles cannot be changed")
    if found := sorted(named & _MACHINE):
        raise access_denied(
            user.name,
            f"{found[0].lower()}() reaches things of the machine that runs this server, and is switched off"
            + ("; nothing else in a query may have this name" if reader else ""),
        )


def _as_parsed(connection: Connection, text: str) -> bytes:
    literal = quoted(text).encode("utf-8", "surrogateescape")
    try:
        return connection.query(b"SELECT formatQuerySingleLine(" + literal + b")", "RawBLOB").bytes()
    except Exception as error:
        refused = engine_error(error)
        # The engine words it around our own call: keep the part that is about the statement.
        said = refused.message.partition(": In scope SELECT format")[0]
        raise ServerError(refused.code, refused.name, said) from error


def _connect(target: str) -> Connection:
    # Imported here: it loads half a gigabyte of library, which the readers of this package's other modules need not.
    from chdb.state.sqlitelike import Connection as ChdbConnection

    return cast(Connection, ChdbConnection(target))
