"""Where the parts of a running installation are: ``DIR/accredit.json``, kept by `accredit up`.

The lock ``DIR/up.lock`` says whether it is true: `accredit up` holds it for as long as it runs, and the kernel lets go
of it however `up` ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from console.errors import AlreadyRuns, NothingRuns
from console.settings import Settings

FILE = "accredit.json"
LOCK = "up.lock"
LOCK_TRIES_S = 1.0
"""A command that looks whether `up` runs holds the lock for a moment."""


class Process(BaseModel):
    """One process of the installation. ``url`` answers /healthz, /readyz and /metrics (the broker has none)."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int | None
    url: str | None
    log: Path


class Installation(BaseModel):
    """Addresses, and the processes behind them where they run on this machine."""

    model_config = ConfigDict(frozen=True)

    data: Path
    pid: int | None = None
    started_at: int | None = None
    kafka: str | None = None
    clickhouse: str | None = None
    ingest: str | None = None
    console: str | None = None
    processes: tuple[Process, ...] = ()

    def broker(self) -> str:
        """Kafka's ``host:port``. NothingRuns if none is known."""
        if self.kafka is None:
            raise NothingRuns(self.data, "Kafka")
        return self.kafka

    def server(self) -> str:
        """ClickHouse's URL. NothingRuns if none is known."""
        if self.clickhouse is None:
            raise NothingRuns(self.data, "ClickHouse")
        return self.clickhouse

    def write(self) -> None:
        """Replace ``accredit.json`` as a whole. Readable for its owner alone: an address may hold a password."""
        fresh = self.data / f"{FILE}.new"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.model_dump_json(indent=2) + "\n")
        fresh.replace(self.data / FILE)


def read_installation(data: Path) -> Installation | None:
    """What ``accredit.json`` says, whether it still runs or not; None if there is none that can be read."""
    try:
        return Installation.model_validate_json((data / FILE).read_text())
    except (OSError, ValidationError):
        return None


def is_up(data: Path) -> bool:
    """Whether an `accredit up` holds the folder now."""
    try:
        with (data / LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def held(data: Path) -> Iterator[None]:
    """Hold the folder for this process. AlreadyRuns if another one does."""
    data.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_TRIES_S
    with (data / LOCK).open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    known = read_installation(data)
                    raise AlreadyRuns(data, known.pid if known else None) from None
                time.sleep(0.05)
        yield


def find(settings: Settings, data: Path | None) -> Installation:
    """The installation that a command is about: the addresses of the environment, else those that run in the folder.

    NothingRuns if there is neither.
    """
    folder = data or settings.data
    running = read_installation(folder) if is_up(folder) else None
    given = {"kafka": settings.kafka, "clickhouse": settings.clickhouse}
    named = {name: address for name, address in given.items() if address is not None}
    if running is not None:
        return running.model_copy(update=named)
    if not named:
        raise NothingRuns(folder)
    return Installation(data=folder, **named)
