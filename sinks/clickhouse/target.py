"""Where rows go: ClickHouse over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import clickhouse_connect
import structlog
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from lz4.frame import compress as lz4_compress  # type: ignore[attr-defined]
from urllib3.exceptions import HTTPError

from sinks.clickhouse.container import columns, container
from sinks.clickhouse.errors import Refused, Unavailable
from sinks.clickhouse.rows import Row, Shape
from sinks.clickhouse.settings import Compression, SinkSettings

log = structlog.get_logger(__name__)

INSERT_SETTINGS = {
    # Answered when the rows are in a part, since offsets are committed on it. On by default from 26.3.
    "async_insert": 0,
    # A restored export brings rows of many months at once.
    "max_partitions_per_insert_block": 0,
    # No merge of the block with itself: half of the server's work (measured), and merges and views do it anyway.
    "optimize_on_insert": 0,
}

# Errors that are not about the rows (ClickHouse `Common/ErrorCodes.cpp`); of all others the writer tries an empty
# insert to learn whose fault it is.
ENVIRONMENT = frozenset(
    (
        16,  # NO_SUCH_COLUMN_IN_TABLE: rows of a newer schema than the table
        60,  # UNKNOWN_TABLE
        81,  # UNKNOWN_DATABASE
        115,  # UNKNOWN_SETTING
        159,  # TIMEOUT_EXCEEDED
        164,  # READONLY
        192,  # UNKNOWN_USER
        193,  # WRONG_PASSWORD
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        236,  # ABORTED: the server is shutting down
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        319,  # UNKNOWN_STATUS_OF_INSERT
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        497,  # ACCESS_DENIED
        516,  # AUTHENTICATION_FAILED
        999,  # KEEPER_EXCEPTION
    )
)


class Target(Protocol):
    """What the writer writes to. One insert at a time; called from one thread."""

    def insert(self, shape: Shape, rows: Sequence[Row]) -> None:
        """Blocks until the rows are durable and can be queried. Without rows it only tries whether they would be.

        Raises Refused when the rows are at fault (none of them is there then), Unavailable when anything else is.
        Rows that are there already do no harm.
        """

    def close(self) -> None:
        """Let go of the connection."""


def connect(url: str, database: str | None) -> Client:
    """A client of ClickHouse at ``url``. Unavailable when it does not answer or refuses the user."""
    try:
        return clickhouse_connect.get_client(
            dsn=url,
            database=database or "default",
            autogenerate_session_id=False,
            compress=False,
            connect_timeout=5,
            send_receive_timeout=120,
        )
    except (ClickHouseError, HTTPError, OSError) as error:
        raise Unavailable(first_line(error)) from error


def first_line(error: BaseException) -> str:
    """An error in a line, for the log: engines append pages, and drivers wrap what went wrong in what they tried."""
    if getattr(error, "code", None) is None:
        while (inner := error.__cause__ or error.__context__) is not None:
            error = inner
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:500]


class ClickHouse:
    """A ClickHouse server's tables, filled through its HTTP interface. Connects at the first insert."""

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._compress = COMPRESSORS[settings.compression]

    def insert(self, shape: Shape, rows: Sequence[Row]) -> None:
        """See `Target.insert`."""
        if self._client is None:
            self._client = connect(self._settings.clickhouse_url, self._settings.database)
        encoding, compress = self._compress
        try:
            self._client.raw_insert(
                shape.table,
                column_names=columns(shape.schema_id),
                insert_block=compress(container(shape.schema_id, rows)),
                settings=INSERT_SETTINGS,
                fmt="Avro",
                compression=encoding,
            )
        except ClickHouseError as error:
            code = getattr(error, "code", None)
            if code is None or code in ENVIRONMENT:
                raise Unavailable(first_line(error)) from error
            raise Refused(code, first_line(error)) from error
        except (HTTPError, OSError) as error:
            raise Unavailable(first_line(error)) from error

    def close(self) -> None:
        """See `Target.close`."""
        if self._client is not None:
            self._client.close()
            self._client = None


COMPRESSORS: dict[Compression, tuple[str | None, Callable[[bytes], bytes]]] = {
    "none": (None, bytes),
    "lz4": ("lz4", lz4_compress),
    "zstd": ("zstd", zstandard.ZstdCompressor(level=1).compress),
}
