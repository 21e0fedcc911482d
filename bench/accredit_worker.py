"""The product's own worker as benchmarks run it: the real process, asked through its metrics port."""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

import psutil

from deploy.local.ports import free_port
from deploy.local.process import Child

ASK_EVERY_S = 0.25


class Worker:
    """``accredit worker`` with a state folder of its own. Use as a context: the process ends with it."""

    def __init__(self, kafka: str, folder: Path, state: Path, name: str = "worker") -> None:
        self.kafka = kafka
        self.folder = folder
        self.state = state
        self.name = name
        self.port = free_port()
        environment = {**os.environ, "ACCREDIT_KAFKA": kafka, "ACCREDIT_LOG_FORMAT": "json"}
        argv = [sys.executable, "-m", "console", "worker", "--data", str(folder), "--port", str(self.port)]
        self.process = Child(name, [*argv, "--state", str(state)], folder / f"{name}.log", environment)

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
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()

    def __enter__(self) -> Worker:
        self.process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop(30)


def until_finished(workers: list[Worker], events: int, timeout_s: float = 600) -> float:
    """Wait until the workers have finished so many records together; seconds from the first batch to the last."""
    deadline = time.monotonic() + timeout_s
    while sum(worker.finished() for worker in workers) < events:
        for worker in workers:
            if worker.process.poll() is not None:
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
