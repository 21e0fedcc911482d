"""`python -m deploy.local.clickhouse`: the process. See the package's docstring."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import click
import structlog
from aiohttp import web

from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.errors import StartError
from deploy.local.clickhouse.execution import Limits, Runner
from deploy.local.clickhouse.server import Server
from deploy.local.clickhouse.users import Users

log = structlog.get_logger("deploy.local.clickhouse")

GRACE_S = 20
MOST_URL_BYTES = 1 << 20
READ_BUFFER_BYTES = 1 << 20


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path, file_okay=False), help="Data folder.")
@click.option("--port", required=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--users", type=click.Path(path_type=Path, dir_okay=False), help="Users file [default: DATA/clickhouse/users.json]."
)
@click.option("--memory", default=4096, show_default=True, type=click.IntRange(512), help="Most memory, in MiB.")
def main(data: Path, port: int, host: str, users: Path | None, memory: int) -> None:
    """ClickHouse's HTTP interface over chDB, for one machine.

    Example: python -m deploy.local.clickhouse --data ./data --port 8123
    """
    _log_to_stderr()
    folder = data.resolve() / "clickhouse"
    try:
        known = Users.load(users.resolve() if users else folder / "users.json")
        known.check_host(host)
        os.environ["TZ"] = "UTC"  # what the engine takes for the server's time zone: the same on every machine
        time.tzset()
        engine = Engine(folder, memory * 1024 * 1024)
        engine.open()
        asyncio.run(_serve(engine, known, host, port))
    except StartError as error:
        click.echo(f"clickhouse: {error}", err=True)
        sys.exit(1)


def _log_to_stderr() -> None:
    """One line an event: for eyes on a terminal, JSON otherwise."""
    on_terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def _serve(engine: Engine, users: Users, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; then finish what runs and close the engine."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = Runner(engine, Limits())
    site_runner = web.AppRunner(
        Server(runner, users).app(),
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,
        max_line_size=MOST_URL_BYTES,
        max_field_size=64 * 1024,
        read_bufsize=READ_BUFFER_BYTES,
        keepalive_timeout=75,
        shutdown_timeout=GRACE_S,
    )
    await site_runner.setup()
    site = web.TCPSite(site_runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.stop(0)
        engine.close()
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}. Choose another --port.") from error
    log.info("listening", address=f"http://{host}:{port}", version=engine.version)
    await stop.wait()
    log.info("stopping", running=len(runner.running))
    await site.stop()
    await runner.stop(GRACE_S)
    await site_runner.cleanup()
    engine.close()
    log.info("stopped")


if __name__ == "__main__":
    main()
