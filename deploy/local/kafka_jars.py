"""Apache Kafka's jars: fetched from Maven Central once per user, checked against a committed list.

`kafka.sha256` has a line per jar, as `sha256sum` writes it: the SHA-256 and the path inside a Maven repository
(`org/apache/kafka/kafka_2.13/4.3.1/kafka_2.13-4.3.1.jar`), which also says what to ask for. Nothing is resolved at
run time: no version can drift, and the hundred POM files that jgo reads to resolve are not fetched.

The cache is one folder of jars per version. A file gets there by a rename, after its sum was found right, so
whatever is in it is whole; what has arrived before an interruption is kept.

For another version of Kafka: set VERSION below, `python -m deploy.local.kafka_jars > deploy/local/kafka.sha256`, and
look at what has changed.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from deploy.local.errors import JarSumMismatch, JarsUnavailable

VERSION = "4.3.1"
SUMS_FILE = Path(__file__).with_name("kafka.sha256")

DOWNLOADS_AT_ONCE = 4
TRIES = 3
TIMEOUT_S = 30

OnProgress = Callable[[str], None]


@dataclass(frozen=True)
class Jar:
    """One line of the list."""

    path: PurePosixPath
    """Inside a Maven repository: GROUP/WITH/SLASHES/ARTIFACT/VERSION/ARTIFACT-VERSION.jar"""
    sha256: str
    """64 hex digits"""

    @property
    def name(self) -> str:
        """The file name, which is also its name in the cache."""
        return self.path.name

    @property
    def coordinate(self) -> tuple[str, str, str]:
        """Maven's group, artifact and version."""
        *group, artifact, version, _ = self.path.parts
        return ".".join(group), artifact, version


Fetch = Callable[[Jar, Path], Path]
"""Downloads a jar somewhere below the given folder and returns where; raises OSError or RuntimeError."""


def read_sums(sums_file: Path = SUMS_FILE) -> list[Jar]:
    """The committed list, in its order."""
    jars = []
    for line in sums_file.read_text().splitlines():
        sha256, path = line.split()
        jars.append(Jar(PurePosixPath(path), sha256))
    return jars


def user_cache() -> Path:
    """Where a user's copy is: `accredit/kafka-VERSION` in XDG_CACHE_HOME or the platform's cache folder."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(configured):  # a relative one is to be ignored, says the XDG specification
        base = Path(configured)
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path.home() / ".cache"
    return base / "accredit" / f"kafka-{VERSION}"


def fetch_with_jgo(jar: Jar, folder: Path) -> Path:
    """Download through jgo: from the repositories in the user's jgo settings, if any, then from Maven Central."""
    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    maven = MavenContext(repo_cache=folder, remote_repos=repositories, timeout=TIMEOUT_S)
    group, artifact_id, version = jar.coordinate
    artifact = maven.project(group, artifact_id).at_version(version).artifact()
    for attempt in range(1, TRIES + 1):
        try:
            return Path(artifact.resolve())
        except (OSError, RuntimeError):
            (folder / jar.path).unlink(missing_ok=True)  # jgo takes what is there for whole
            if attempt == TRIES:
                raise
    raise AssertionError("unreachable")


def ensure_jars(
    cache: Path,
    jars: Sequence[Jar],
    on_progress: OnProgress | None = None,
    fetch: Fetch = fetch_with_jgo,
) -> list[Path]:
    """The jars in the cache, in the list's order, each with the right sum; what is missing is fetched first.

    Blocks while fetching, or while another process is fetching into the same cache. With a full cache it asks nothing
    of the network. Raises JarsUnavailable and JarSumMismatch.
    """
    say = on_progress or (lambda text: None)
    try:
        if _missing(cache, jars):
            cache.mkdir(parents=True, exist_ok=True)
            with _one_at_a_time(cache, say):
                _fetch_missing(cache, _missing(cache, jars), say, fetch)
        paths = [cache / jar.name for jar in jars]
        for jar, path in zip(jars, paths, strict=True):
            _check_sum(path, jar)
    except OSError as error:
        raise JarsUnavailable(f"the jars of Apache Kafka {VERSION}", cache, str(error)) from error
    return paths


def _missing(cache: Path, jars: Sequence[Jar]) -> list[Jar]:
    return [jar for jar in jars if not (cache / jar.name).is_file()]


@contextmanager
def _one_at_a_time(cache: Path, say: OnProgress) -> Iterator[None]:
    """Hold the cache's lock; the kernel lets go of it when the process dies."""
    with cache.with_name(cache.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Apache Kafka {VERSION}: another process is downloading it, waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_missing(cache: Path, missing: Sequence[Jar], say: OnProgress, fetch: Fetch) -> None:
    if not missing:
        return
    for left_behind in cache.glob(".incoming-*"):
        shutil.rmtree(left_behind, ignore_errors=True)
    say(f"Apache Kafka {VERSION}: downloading {len(missing)} jars, once, to {cache}")

    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=cache) as incoming:

        def fetch_one(jar: Jar) -> int:
            try:
                arrived = fetch(jar, Path(incoming))
            except (OSError, RuntimeError) as error:
                raise JarsUnavailable(jar.name, cache, str(error)) from error
            size = arrived.stat().st_size
            _check_sum(arrived, jar)
            arrived.replace(cache / jar.name)
            return size

        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE, thread_name_prefix="jars") as pool:
            try:
                fetched = 0
                tasks = [pool.submit(fetch_one, jar) for jar in missing]
                for done, task in enumerate(as_completed(tasks), start=1):
                    fetched += task.result()
                    say(f"Apache Kafka {VERSION}: {done} of {len(missing)} jars, {fetched / 1e6:.0f} MB")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _check_sum(path: Path, jar: Jar) -> None:
    with path.open("rb") as content:
        got = hashlib.file_digest(content, "sha256").hexdigest()
    if got != jar.sha256:
        raise JarSumMismatch(path, expected=jar.sha256, got=got)


def resolve_sums(folder: Path) -> list[Jar]:
    """What the list should say for VERSION: resolve and download into a folder. For whoever raises the version."""
    maven = MavenContext(repo_cache=folder, timeout=TIMEOUT_S)
    kafka = maven.create_dependency(f"org.apache.kafka:kafka_2.13:{VERSION}")
    roots, others = maven.resolver.resolve([kafka])
    artifacts = [dependency.artifact for dependency in [*roots, *others]]
    # Kafka's own release adds the bridge from slf4j to log4j2; without it a broker logs nothing. It is fetched alone:
    # jgo takes every root for a list of managed versions, and with this one among them resolves another kafka-clients.
    log4j = next(artifact.version for artifact in artifacts if artifact.artifactId == "log4j-core")
    artifacts.append(maven.create_dependency(f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}").artifact)
    jars = []
    for path in sorted(Path(artifact.resolve()) for artifact in artifacts):
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        jars.append(Jar(PurePosixPath(path.relative_to(folder).as_posix()), sha256))
    return jars


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for resolved in resolve_sums(Path(scratch)):
            print(f"{resolved.sha256}  {resolved.path}")
