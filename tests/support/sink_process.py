"""The sink as a real process of a test."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from deploy.local.ports import free_port
from schemas.codec import encode
from schemas.ids import session_key
from schemas.records import Click, Conversion, Record
from schemas.topics import PARTITIONER

PROGRAM = """
import json, sys
from sinks.clickhouse import FlushPolicy, SinkSettings, run
told = json.loads(sys.argv[1])
run(SinkSettings(**{**told, "flush": FlushPolicy(**told["flush"])}))
"""
WITHIN_S = 180.0


class SinkProcess:
    """A sink that a test may stop, kill and start again."""

    def __init__(self, folder: Path, *, flush: dict[str, Any] | None = None, **settings: Any) -> None:
        self.port = free_port()
        self.settings = {"http_port": self.port, "session_timeout_s": 6.0, **settings, "flush": flush or {}}
        self.log = folder / f"sink-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, json.dumps(self.settings)], stdout=log, stderr=log
            )

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WITHIN_S)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(WITHIN_S)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of its health port; (0, reason) when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)


def until(true: Callable[[], Any], log: Path | None = None, within_s: float = WITHIN_S) -> Any:
    """What ``true`` returns once it is true. AssertionError, with the log's end, when time is up."""
    deadline = time.monotonic() + within_s
    while True:
        found = true()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s; log:\n{log.read_text()[-4000:] if log else ''}")
        time.sleep(0.05)


class Feed:
    """Produces to the product's topics."""

    def __init__(self, kafka: str) -> None:
        config = {"bootstrap.servers": kafka, "acks": "all", "enable.idempotence": True, "partitioner": PARTITIONER}
        self._producer = Producer({**config, "linger.ms": 5})

    def records(self, topic: str, records: list[Record]) -> None:
        """Returns when all are acknowledged."""
        for record in records:
            key = session_key(record.session_id) if isinstance(record, Click | Conversion) else b"key"
            self.raw(topic, encode(record), key)
        self.flush()

    def raw(self, topic: str, value: bytes | None, key: bytes = b"key") -> None:
        while True:
            try:
                self._producer.produce(topic, value, key)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def flush(self) -> None:
        assert self._producer.flush(WITHIN_S) == 0
