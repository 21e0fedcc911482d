"""What a local broker is told: server.properties, the log's layout, the Java machine's flags. Text in, text out."""

import base64
import uuid
from pathlib import Path

from deploy.local.ports import LOOPBACK

DATA = "data"
"""The broker's own data, below its folder."""
TMP = "tmp"
"""Java's temporary files (unpacked native libraries), below its folder."""

LOG4J2_PROPERTIES = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC} %-5p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""
"""Warnings and worse, and the broker's start; to stdout, which goes to the log file."""


def new_cluster_id() -> str:
    """A random cluster id as Kafka writes it: 16 bytes in URL-safe base64, not starting with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # the format tool would take it for an option
            return text


def server_properties(broker_port: int, controller_port: int, data: str = DATA) -> str:
    """One node that is broker and controller, on the loopback only.

    Paths are relative to the broker's folder, which is its working folder: a comma in `log.dirs` would be a separator,
    and property files are not UTF-8.
    """
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": f"PLAINTEXT://{LOOPBACK}:{broker_port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{broker_port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{controller_port}",
        "log.dirs": data,
        # Topics are made by us, never by a client that misspells one (DESIGN §3).
        "auto.create.topics.enable": "false",
        # One broker: one replica of everything.
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 4,
        # A machine that was off for a month goes on where it was. This is the greatest value.
        "offsets.retention.minutes": 2_147_483_647,
        "group.initial.rebalance.delay.ms": 0,
        # The default of 128 MB comes out of a heap of 512.
        "log.cleaner.dedupe.buffer.size": 16_777_216,
        # After a kill -9 the controller lets the new broker register only when the old one's session has run out.
        # By default that is 9 s of standstill.
        "broker.session.timeout.ms": 3_000,
        "broker.heartbeat.interval.ms": 500,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def java_command(java: Path, jars: list[Path], folder: Path, logs: Path, heap_mb: int) -> list[str]:
    """The command up to the main class. `folder` is the broker's, `logs` gets a crash report of the Java machine."""
    return [
        str(java),
        # Measured: up in 2.3 s with 200 MB resident (DESIGN §9).
        f"-Xms{min(256, heap_mb)}m",
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        # Out of memory it ends, and is started again; it does not limp on.
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={logs / 'kafka-crash-%p.log'}",
        # What Kafka's compression libraries do needs allowing, else Java 25 warns of it at every start.
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={folder / TMP}",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}",
        "-cp",
        ":".join(str(jar) for jar in jars),
    ]
