"""The rivals as processes: how each is made ready, started, and what rate it prints."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

TIMEOUT_S = 900
HERE = Path(__file__).parent
KAFKA_STREAMS = "ACCREDIT_BENCH_KAFKA_STREAMS"
"""Environment: the folder of the Kafka Streams rival (a Maven project). Default: ../shared/rivals/kafka-streams."""


class CannotRun(Exception):
    """The rival cannot be built or run here; the message says what is missing."""


class Topics(NamedTuple):
    """What a rival reads and writes."""

    clicks: str
    conversions: str
    out: str


Rival = Callable[[str, Topics, int, Path], float]
"""Broker, topics, events, scratch folder → events/s. CannotRun."""


def schema(name: str) -> str:
    return str(resources.files("schemas") / "avro" / f"{name}.v1.avsc")


def rate_of(argv: list[str], folder: Path) -> float:
    """Run a rival until it prints ``NAME N events R events/s``."""
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise CannotRun(f"not done within {TIMEOUT_S} s") from None
    for line in done.stdout.splitlines():
        if line.endswith("events/s"):
            return float(line.split()[-2])
    raise CannotRun(f"it ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}")


def stock_faust(kafka: str, topics: Topics, events: int, folder: Path) -> float:
    return rate_of([sys.executable, "-m", "bench.rivals.stock_faust", kafka, *topics, str(events)], Path.cwd())


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "accredit" / "bench"


def quix(kafka: str, topics: Topics, events: int, folder: Path) -> float:
    """In a virtual environment made from quix.lock, kept in the user's cache."""
    lock = HERE / "quix.lock"
    home = cache() / f"quix-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print("  quix: making its environment …", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        make = [[sys.executable, "-m", "venv", str(home)]]
        make += [[str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(lock)]]
        for argv in make:
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode:
                raise CannotRun(f"its packages could not be installed: {done.stderr.strip()[-300:]}")
        (home / "ready").touch()
    script = str(HERE / "quix_join.py")
    return rate_of([str(python), script, kafka, *topics, str(events), schema("click"), schema("conversion")], folder)


def built_kafka_streams() -> Path:
    """The folder with the built rival. CannotRun without Java, Maven or its source."""
    source = Path(os.environ.get(KAFKA_STREAMS) or Path.cwd().parent / "shared" / "rivals" / "kafka-streams")
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        raise CannotRun(f"needs {' and '.join(missing)} (Java 17, Maven)")
    if not (source / "pom.xml").exists():
        raise CannotRun(f"no Maven project in {source}; name its folder in {KAFKA_STREAMS}")
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(source.rglob("*")) if p.is_file())).hexdigest()
    home = cache() / f"kafka-streams-{digest[:12]}"
    if not (home / "ready").exists():
        print("  kafka-streams: building it …", flush=True)
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for path in source.rglob("*"):  # file by file: the source may be read-only, the copy must not be
            if path.is_file():
                target = home / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
        argv = ["mvn", "-q", "-B", "package", "dependency:copy-dependencies", "-DoutputDirectory=libs"]
        done = subprocess.run(argv, cwd=home, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotRun(f"Maven could not build it: {done.stdout.strip()[-300:]}")
        (home / "ready").touch()
    return home


def kafka_streams(kafka: str, topics: Topics, events: int, folder: Path, *more: str) -> float:
    home = built_kafka_streams()
    classpath = f"{home}/target/rival-1.jar:{home}/libs/*"
    argv = ["java", "-Xmx1g", "-cp", classpath, "Rival", kafka, *topics, schema("click"), schema("conversion")]
    return rate_of([*argv, str(events), *more], folder)


def kafka_streams_changelog(kafka: str, topics: Topics, events: int, folder: Path) -> float:
    return kafka_streams(kafka, topics, events, folder, "changelog")


RIVALS: dict[str, Rival] = {
    "stock-faust": stock_faust,
    "quix": quix,
    "kafka-streams": kafka_streams,
    "kafka-streams-changelog": kafka_streams_changelog,
}
