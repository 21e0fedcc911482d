"""A running installation as a user has it: `accredit up` in a folder, and the commands beside it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

ACCREDIT = [sys.executable, "-P", "-m", "console"]
UP_S = 300.0
COMMAND_S = 600.0


def environment() -> dict[str, str]:
    """Ours without what would point at another installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ACCREDIT_")}


class Running:
    """`accredit up` as a child process of the test."""

    def __init__(self, data: Path, *options: str, kafka: str = "", clickhouse: str = "") -> None:
        """``kafka`` and ``clickhouse``: addresses of services that it is not to start."""
        self.data = data
        self.services = {"ACCREDIT_KAFKA": kafka, "ACCREDIT_CLICKHOUSE": clickhouse}
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data.with_name(f"{data.name}.up.log")

    def start(self) -> None:
        """Return when everything runs."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*ACCREDIT, "up", "--data", str(self.data), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment(), **self.services, "ACCREDIT_LOG_FORMAT": "json"},
            )
        began = self.log.stat().st_size
        until(lambda: b'"event": "up"' in self.log.read_bytes()[began:] or self.ended(), UP_S, "accredit up")

    def ended(self) -> bool:
        """False while it runs; an AssertionError with the log once it has ended."""
        assert self.process is not None
        assert self.process.poll() is None, f"accredit up ended:\n{self.log.read_text()[-4_000:]}"
        return False

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(UP_S)

    def kill(self) -> None:
        """SIGKILL to `up` itself."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(UP_S)

    def addresses(self) -> dict[str, Any]:
        """What is in accredit.json."""
        found: dict[str, Any] = json.loads((self.data / "accredit.json").read_text())
        return found

    def pid(self, name: str) -> int:
        """The process id of a process that runs."""
        found: list[int] = []

        def there() -> bool:
            found[:] = [p["pid"] for p in self.addresses()["processes"] if p["name"] == name and p["pid"]]
            return bool(found)

        until(there, UP_S, f"{name} to run")
        return found[0]

    def kill_process(self, name: str) -> None:
        """SIGKILL to one of the processes, and wait until the supervisor has noticed."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.pid(name) != pid, UP_S, f"{name} to be started again")

    def run(self, *args: str, code: int = 0, stdin: bytes | None = None) -> str:
        """A command beside it; its standard output."""
        done = self.popen(*args, stdin=stdin)
        out, err = done.communicate(stdin, timeout=COMMAND_S)
        assert done.returncode == code, f"{args} exited with {done.returncode}:\n{out.decode()}\n{err.decode()}"
        return out.decode()

    def popen(self, *args: str, stdin: bytes | None = None, log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
        """A command beside it, not waited for; what it prints goes to ``log``, else into pipes."""
        return subprocess.Popen(
            [*ACCREDIT, *args],
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=log or subprocess.PIPE,
            stderr=log or subprocess.PIPE,
            env={**environment(), "ACCREDIT_DATA": str(self.data)},
        )

    def report(self, by: str = "order") -> list[dict[str, str]]:
        """`accredit report` as rows."""
        return list(csv.DictReader(io.StringIO(self.run("report", "--by", by, "--format", "csv"))))


def until(is_so: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll until it is so; AssertionError names ``what`` was waited for."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s for {what}"
        time.sleep(0.1)


def decided(rows: Sequence[dict[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """A report by order as a mapping, in which an order that is there twice is an error."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in rows:
        key = (row["order_id"], row["goal"])
        assert key not in found, f"order {key} is there twice"
        found[key] = tuple(row[name] for name in ("status", "partner_id", "decided_by", "payout", "currency"))
    return found
