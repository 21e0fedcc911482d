import hashlib
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from deploy.local.errors import JarSumMismatch, JarsUnavailable
from deploy.local.kafka_jars import VERSION, Jar, ensure_jars, read_sums, user_cache

CONTENT = {"one-1.0.jar": b"first", "two-2.0.jar": b"second"}
JARS = [
    Jar(
        PurePosixPath("org", "example", name.split("-")[0], name.split("-")[1].removesuffix(".jar"), name),
        hashlib.sha256(content).hexdigest(),
    )
    for name, content in CONTENT.items()
]


def store(jar: Jar, folder: Path, content: bytes) -> Path:
    path = folder / jar.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fetch_right(jar: Jar, folder: Path) -> Path:
    return store(jar, folder, CONTENT[jar.name])


def fetch_never(jar: Jar, folder: Path) -> Path:
    raise AssertionError(f"asked the network for {jar.name}")


def test_committed_list_is_the_whole_of_kafka() -> None:
    jars = read_sums()
    names = [jar.name for jar in jars]
    assert f"kafka_2.13-{VERSION}.jar" in names
    assert f"kafka-clients-{VERSION}.jar" in names
    assert any(name.startswith("log4j-slf4j-impl-") for name in names)
    assert len(set(names)) == len(names) == 46
    for jar in jars:
        assert len(bytes.fromhex(jar.sha256)) == 32
        _, artifact, version = jar.coordinate
        assert jar.name == f"{artifact}-{version}.jar"
        if jar.name.startswith("kafka"):
            assert version == VERSION


def test_coordinate_comes_from_the_path() -> None:
    assert JARS[0].coordinate == ("org.example", "one", "1.0")


def test_missing_jars_are_fetched_once_and_then_found(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    said: list[str] = []
    paths = ensure_jars(cache, JARS, said.append, fetch_right)
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert "2 of 2 jars" in said[-1]
    assert sorted(path.name for path in cache.iterdir()) == sorted(CONTENT)  # nothing else is left there

    said.clear()
    assert ensure_jars(cache, JARS, said.append, fetch_never) == paths
    assert said == []


def test_tampered_download_is_refused_and_not_kept(tmp_path: Path) -> None:
    def fetch(jar: Jar, folder: Path) -> Path:
        return store(jar, folder, b"evil" if jar is JARS[1] else CONTENT[jar.name])

    with pytest.raises(JarSumMismatch) as caught:
        ensure_jars(tmp_path, JARS, fetch=fetch)
    assert caught.value.jar.name == JARS[1].name
    assert not (tmp_path / JARS[1].name).exists()


def test_tampered_cache_is_an_error_that_names_jar_sums_and_way_out(tmp_path: Path) -> None:
    first, _ = ensure_jars(tmp_path, JARS, fetch=fetch_right)
    first.write_bytes(b"tampered")
    with pytest.raises(JarSumMismatch) as caught:
        ensure_jars(tmp_path, JARS, fetch=fetch_never)
    message = str(caught.value)
    assert str(first) in message
    assert JARS[0].sha256 in message
    assert hashlib.sha256(b"tampered").hexdigest() in message
    assert "Delete it" in message


def test_what_arrived_before_a_failure_is_kept(tmp_path: Path) -> None:
    first_is_there = threading.Event()

    def fail_second(jar: Jar, folder: Path) -> Path:
        if jar is JARS[1]:
            assert first_is_there.wait(10)
            raise OSError("connection refused")
        return fetch_right(jar, folder)

    def on_progress(text: str) -> None:
        if "1 of 2" in text:
            first_is_there.set()

    with pytest.raises(JarsUnavailable, match=r"two-2\.0\.jar: connection refused.*ACCREDIT_KAFKA"):
        ensure_jars(tmp_path, JARS, on_progress, fail_second)

    fetched: list[str] = []

    def fetch_and_note(jar: Jar, folder: Path) -> Path:
        fetched.append(jar.name)
        return fetch_right(jar, folder)

    ensure_jars(tmp_path, JARS, fetch=fetch_and_note)
    assert fetched == [JARS[1].name]


def test_two_at_once_fetch_once(tmp_path: Path) -> None:
    second_waits = threading.Event()
    fetched: list[str] = []
    errors: list[BaseException] = []

    def fetch_when_second_waits(jar: Jar, folder: Path) -> Path:
        assert second_waits.wait(10)
        fetched.append(jar.name)
        return fetch_right(jar, folder)

    def on_second_progress(text: str) -> None:
        if "another process" in text:
            second_waits.set()

    first_has_begun = threading.Event()

    def run(on_progress: Callable[[str], None]) -> None:
        try:
            ensure_jars(tmp_path / "cache", JARS, on_progress, fetch_when_second_waits)
        except BaseException as error:
            errors.append(error)

    first = threading.Thread(target=run, args=(lambda text: first_has_begun.set(),))
    first.start()
    assert first_has_begun.wait(10)
    second = threading.Thread(target=run, args=(on_second_progress,))
    second.start()
    first.join(20)
    second.join(20)
    assert errors == []
    assert sorted(fetched) == sorted(CONTENT)


def test_cache_is_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "accredit" / f"kafka-{VERSION}"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert user_cache().is_relative_to(Path.home())
