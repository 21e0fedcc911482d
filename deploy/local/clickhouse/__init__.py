"""ClickHouse's HTTP interface over chDB: a ClickHouse for one machine, in a process of its own.

    python -m deploy.local.clickhouse --data DIR --port N

chDB is ClickHouse's engine in a wheel; one process at a time opens a data folder. Every other part, and any client of
the user's, speaks HTTP to this process as it would to a server. From here other parts need two things: the command
(`server_argv`) and that it is up when `GET /ping` answers 200.

Not as a server: one statement runs under the engine's own query id (the client's is in `log_comment`); formats that
chDB cannot stream (JSON, Parquet, Arrow, Pretty…) are made in memory, up to 256 MiB of columns; `compress=1` and
`decompress=1`, external data in multipart forms, `input()`, roles, `client_protocol_version`, progress headers and the
native TCP protocol are not there; files of the machine (`file()`, `executable()`, INTO OUTFILE) are out of reach for
everyone.
"""

import sys
from pathlib import Path

__all__ = ["server_argv"]


def server_argv(data_dir: Path, port: int) -> list[str]:
    """The command of the process that serves `data_dir` (it keeps to `data_dir/clickhouse`) on this loopback port.

    SIGTERM ends it in order: running queries finish, the engine closes. Acknowledged inserts survive SIGKILL.
    """
    return [sys.executable, "-m", "deploy.local.clickhouse", "--data", str(data_dir), "--port", str(port)]
