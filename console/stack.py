"""The product on one machine: which processes, with which addresses, in which order they start and stop."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil

from console.errors import ConsoleError
from console.installation import Installation, Process, read_installation
from console.keys import load_keys
from console.say import Say
from console.settings import Settings, environment_with, without_password
from console.supervisor import STOP_BUDGET_S, Service, Supervisor
from console.topics import create_topics
from deploy.local.clickhouse import server_argv
from deploy.local.kafka import Kafka
from deploy.local.ports import LOOPBACK, PortBook
from deploy.local.process import Child

STOP_ORDER = ("ingest", "worker", "settlement", "sink", "console", "clickhouse", "kafka")
"""Whoever takes events in goes first, whoever keeps them last."""
PROGRESS_EVERY_S = 2.0
ORPHANS_GONE_S = 5.0


class SpokenKafka(Kafka):
    """The local broker, saying what takes time: above all the download of its jars, once per user."""

    def __init__(self, data_dir: Path, say: Say) -> None:
        super().__init__(data_dir)
        self._say = say
        self._said = 0.0

    def start(self, on_progress: object = None, deadline_s: float = 60) -> None:
        """As `Kafka.start`; a line of progress every two seconds at most."""
        super().start(self._progress, deadline_s)

    def _progress(self, text: str) -> None:
        now = time.monotonic()
        if now - self._said >= PROGRESS_EVERY_S:
            self._said = now
            self._say("kafka_progress", text)


class Stack:
    """All processes of `accredit up` in one folder."""

    def __init__(self, data: Path, settings: Settings, say: Say, *, partitions: int | None, workers: int) -> None:
        self.data = data.absolute()
        self.supervisor = Supervisor(say, self._write)
        self._settings = settings
        self._say = say
        self._partitions = partitions
        self._workers = workers
        self._ports = PortBook(self.data / "ports.json")
        self._started_at = int(time.time() * 1_000)
        self._addresses: dict[str, str] = {}

    @property
    def installation(self) -> Installation:
        """Addresses and processes as they are now."""
        processes = tuple(
            Process(name=service.name, pid=service.runnable.pid, url=service.url, log=service.log)
            for service in self.supervisor.services
        )
        return Installation(
            data=self.data,
            pid=psutil.Process().pid,
            started_at=self._started_at,
            processes=processes,
            **self._addresses,
        )

    def start(self) -> None:
        """Start everything and return when all have started. Errors of the services go through."""
        self._await_orphans()
        load_keys(self.data)
        kafka, clickhouse = self._kafka(), self._clickhouse()
        if clickhouse is not None:
            self.supervisor.launch(clickhouse)
        if kafka is not None:
            self.supervisor.launch(kafka)
            self.supervisor.await_started(kafka)
            self._addresses["kafka"] = kafka.address()
        self._topics()
        sink = self._process("sink", "--instance", "sink")  # it creates and migrates the tables
        settlement = self._process("settlement", "--stage", "settlement", "--instance", "settlement", command="worker")
        ours = [self._process("ingest"), *self._worker_processes(), settlement, sink, self._process("console")]
        for service in ours:
            self.supervisor.launch(service)
        for service in [*([clickhouse] if clickhouse else []), *ours]:
            self.supervisor.await_started(service)

    def stop(self) -> None:
        """End everything in order."""
        self.supervisor.stop_all(STOP_ORDER, STOP_BUDGET_S)

    def _kafka(self) -> Service | None:
        if self._settings.kafka is not None:
            self._addresses["kafka"] = self._settings.kafka
            return None
        kafka = SpokenKafka(self.data, self._say)
        return Service("kafka", kafka, kafka.log_path, lambda: kafka.bootstrap)

    def _clickhouse(self) -> Service | None:
        if self._settings.clickhouse is not None:
            self._addresses["clickhouse"] = self._settings.clickhouse
            return None
        port = self._ports.port("clickhouse")
        url = f"http://{LOOPBACK}:{port}"
        self._addresses["clickhouse"] = url
        log = self._log("clickhouse")
        child = Child("clickhouse", server_argv(self.data, port), log, environment_with(log_format="json"), self.data)
        return Service("clickhouse", child, log, lambda: url, url, ready_path="/ping")

    def _topics(self) -> None:
        created = create_topics(self._addresses["kafka"], self._partitions)
        if created:
            self._say("topics_created", f"topics created: {', '.join(created)}", topics=created)

    def _worker_processes(self) -> list[Service]:
        """Each worker has its own state folder, as workers on different machines have."""
        names = ["worker"] if self._workers == 1 else [f"worker-{i + 1}" for i in range(self._workers)]
        return [
            self._process(name, "--state", str(self.data / "state" / str(i)), "--instance", name)
            for i, name in enumerate(names, start=1)
        ]

    def _process(self, name: str, *options: str, command: str | None = None) -> Service:
        port = self._ports.port(name)
        url = f"http://{LOOPBACK}:{port}"
        log = self._log(name)
        if name in ("ingest", "console"):
            self._addresses[name] = url
        argv = [sys.executable, "-P", "-m", "console", command or name.partition("-")[0], "--port", str(port), *options]
        addresses = {"kafka": self._addresses["kafka"], "clickhouse": self._addresses["clickhouse"]}
        environment = environment_with(data=str(self.data), log_format="json", **addresses)
        return Service(name, Child(name, argv, log, environment, self.data), log, lambda: url, url)

    def _log(self, name: str) -> Path:
        return self.data / "logs" / f"{name}.log"

    def _write(self) -> None:
        self.installation.write()

    def _await_orphans(self) -> None:
        """After a SIGKILL of the last `up` the kernel ends its children; they hold the ports until they are gone."""
        last = read_installation(self.data)
        deadline = time.monotonic() + ORPHANS_GONE_S
        for process in last.processes if last else ():
            while is_ours(process.pid, self.data):
                if time.monotonic() > deadline:
                    raise ConsoleError(
                        f"{process.name} of an earlier `accredit up` on {self.data} still runs. "
                        f"End it: kill {process.pid}"
                    )
                time.sleep(0.05)


def is_ours(pid: int | None, data: Path) -> bool:
    """Whether the process runs and works on the folder: its number may be another program's by now."""
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return str(data) in " ".join([*process.cmdline(), process.cwd()])
    except psutil.Error:
        return False


def shown(url: str | None) -> str:
    """An address for a person: no password in it."""
    return without_password(url) if url else ""
