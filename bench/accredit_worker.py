"""The product's own worker as benchmarks run it: the real process, asked through its metrics port."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

import psutil

from deploy.local.ports import free_port

ASK_EVERY_S = 0.25


class Worker:
    """``accredit worker`` with a state folder of its own. Use as a context: the process ends with it."""

    def __init__(self, kafka: str, folder: Path, state: Path, name: str = "worker") -> None:
        self.kafka = kafka
        self.folder = folder
        self.state = state
        self.name = name
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "ACCREDIT_KAFKA": self.kafka, "ACCREDIT_LOG_FORMAT": "json"}
        argv = [sys.executable, "-m", "console", "worker", "--data", str(self.folder), "--port", str(self.port)]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*argv, "--state", str(self.state)], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 while the port does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except (urllib.error.URLError, OSError):
            return 0.0
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def ready(self) -> bool:
        """Whether it says that it is."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def finished(self) -> float:
        """Records with all that follows from them acknowledged."""
        return self.metric("accredit_worker_finished_records_total")

    def rss_mb(self) -> float:
        """Resident memory now."""
        assert self.process is not None
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


def until_finished(workers: list[Worker], events: int, timeout_s: float = 600) -> float:
    """Wait until the workers have finished so many records together; seconds from the first batch to the last."""
    deadline = time.monotonic() + timeout_s
    while sum(worker.finished() for worker in workers) < events:
        for worker in workers:
            if worker.process is not None and worker.process.poll() is not None:
                raise RuntimeError(f"{worker.name} ended; see {worker.folder / worker.name}.log")
        if time.monotonic() > deadline:
            raise TimeoutError(f"{events:,} events were not finished within {timeout_s:.0f} s")
        time.sleep(ASK_EVERY_S)
    began = min(worker.metric("accredit_worker_first_record_seconds") or float("inf") for worker in workers)
    return max(worker.metric("accredit_worker_finished_seconds") for worker in workers) - began


def until_ready(worker: Worker, timeout_s: float = 300) -> None:
    """Wait until it says that it is ready: its store is as far as what was committed."""
    deadline = time.monotonic() + timeout_s
    while not worker.ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{worker.name} was not ready within {timeout_s:.0f} s")
        time.sleep(0.1)
