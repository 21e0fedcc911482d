"""Finding what runs: the folder's lock and file, the environment, the keys."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from console.errors import AlreadyRuns, ConsoleError, NothingRuns
from console.installation import Installation, find, held, is_up
from console.keys import load_keys, rotated, write_keys
from console.settings import Settings, read_settings, without_password
from console.stack import is_ours


def installation(data: Path) -> Installation:
    return Installation(data=data, pid=1, kafka="127.0.0.1:9092", clickhouse="http://127.0.0.1:8123")


def test_it_is_found_while_it_is_held(tmp_path: Path) -> None:
    with held(tmp_path):
        installation(tmp_path).write()
        assert find(Settings(), tmp_path).broker() == "127.0.0.1:9092"
    assert not is_up(tmp_path)
    with pytest.raises(NothingRuns, match="accredit up --data"):
        find(Settings(), tmp_path)


def test_a_second_one_on_the_folder_is_refused(tmp_path: Path) -> None:
    with held(tmp_path):
        installation(tmp_path).write()
        with pytest.raises(AlreadyRuns, match="process 1"), held(tmp_path):
            pass


def test_the_environment_goes_before_the_folder(tmp_path: Path) -> None:
    with held(tmp_path):
        installation(tmp_path).write()
        found = find(Settings(kafka="broker:9092"), tmp_path)
    assert (found.kafka, found.clickhouse) == ("broker:9092", "http://127.0.0.1:8123")


def test_addresses_alone_are_enough(tmp_path: Path) -> None:
    found = find(Settings(kafka="broker:9092"), tmp_path)
    assert found.broker() == "broker:9092"
    with pytest.raises(NothingRuns, match="no ClickHouse"):
        found.server()


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCREDIT_CLICKHOUSE", "localhost:8123")
    with pytest.raises(ConsoleError, match="ACCREDIT_CLICKHOUSE: 'localhost:8123' is not a URL"):
        read_settings()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCREDIT_KAFKA", "")
    assert read_settings().kafka is None


def test_passwords_are_not_shown() -> None:
    assert without_password("http://me:secret@ch:8123/db") == "http://me:***@ch:8123/db"
    assert without_password("http://ch:8123") == "http://ch:8123"


def test_keys_are_made_once_and_rotate(tmp_path: Path) -> None:
    first = load_keys(tmp_path)
    assert load_keys(tmp_path) == first
    path = tmp_path / "keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    minted = first.mint(bytes(16), 1_000, "shop", bytes(6))
    write_keys(path, rotated(first))
    second = load_keys(tmp_path)
    assert second.current == 2
    assert second.verify(minted).clicked_at == 1_000


def test_damaged_keys_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"current": 3, "keys": {}}))
    with pytest.raises(ConsoleError, match="Restore it from a copy"):
        load_keys(tmp_path)


def test_a_process_is_ours_only_if_it_works_on_the_folder(tmp_path: Path) -> None:
    assert not is_ours(None, tmp_path)
    assert not is_ours(os.getpid(), tmp_path / "another")
    assert is_ours(os.getpid(), Path.cwd())
