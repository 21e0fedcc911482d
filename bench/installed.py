"""A whole installation for a benchmark: ``accredit up`` in a folder of its own, as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import psutil

from deploy.local.process import Child

ACCREDIT = [sys.executable, "-P", "-m", "console"]
UP_S = 180.0
STOP_S = 60.0


class Installed:
    """Everything runs inside the context. RuntimeError when it does not come up."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.kafka = self.ingest = self.clickhouse = ""
        self._log = data.with_name(f"{data.name}.up.log")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ACCREDIT_")}
        environment["ACCREDIT_LOG_FORMAT"] = "json"
        self._up = Child("up", [*ACCREDIT, "up", "--data", str(data)], self._log, environment)

    def __enter__(self) -> Installed:
        self._up.start()
        deadline = time.monotonic() + UP_S
        while b'"event": "up"' not in self._log.read_bytes():
            if self._up.poll() is not None or time.monotonic() > deadline:
                self._up.stop(STOP_S)
                raise RuntimeError(f"accredit up did not come up:\n{self._log.read_text()[-2_000:]}")
            time.sleep(0.2)
        found = json.loads((self.data / "accredit.json").read_text())
        self.kafka, self.ingest, self.clickhouse = found["kafka"], found["ingest"], found["clickhouse"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._up.stop(STOP_S)

    def apply(self, catalog: str) -> None:
        """Make this the catalog; it is in effect on return."""
        file = self.data / "bench.yaml"
        file.write_text(catalog)
        subprocess.run(
            [*ACCREDIT, "catalog", "apply", "--data", str(self.data), str(file)], check=True, capture_output=True
        )

    def cpu_seconds(self) -> dict[str, float]:
        """What each process has used so far, and the load generator."""
        found = json.loads((self.data / "accredit.json").read_text())
        used = {}
        for process in found["processes"]:
            family = [psutil.Process(process["pid"])]
            family += family[0].children(recursive=True)
            used[process["name"]] = sum(one.cpu_times().user + one.cpu_times().system for one in family)
        own = psutil.Process().cpu_times()
        return {**used, "load generator": own.user + own.system}
