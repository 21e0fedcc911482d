import json
from pathlib import Path

import pytest

from deploy.local.errors import NoFreePort
from deploy.local.ports import FIRST_PORT, LAST_PORT, PortBook, free_port


def test_free_port_is_outside_the_range_of_outgoing_connections() -> None:
    port = free_port(is_free=lambda port: True)
    assert FIRST_PORT <= port <= LAST_PORT < 32_768


def test_free_port_takes_neither_listed_nor_taken_ports() -> None:
    listed = range(FIRST_PORT, LAST_PORT + 1, 2)
    asked: list[int] = []

    def is_free(port: int) -> bool:
        asked.append(port)
        return len(asked) == 3

    assert free_port(listed, is_free) == asked[-1]
    assert len(asked) == 3
    assert not set(asked) & set(listed)


def test_no_free_port_says_where_it_looked() -> None:
    with pytest.raises(NoFreePort, match=f"between {FIRST_PORT} and {LAST_PORT}"):
        free_port(is_free=lambda port: False)


def test_port_book_keeps_ports_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "kafka" / "ports.json"
    first = PortBook(path, is_free=lambda port: True)
    broker, controller = first.port("broker"), first.port("controller")
    assert broker != controller

    again = PortBook(path, is_free=lambda port: True)
    assert again.port("broker") == broker
    assert again.port("controller") == controller
    assert again.kept() == {"broker": broker, "controller": controller}


def test_port_book_chooses_another_port_when_the_kept_one_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    kept = PortBook(path, is_free=lambda port: True).port("broker")
    other = PortBook(path, is_free=lambda port: port != kept).port("broker")
    assert other != kept
    assert json.loads(path.read_text()) == {"broker": other}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"broker": "x"}', "\x00"])
def test_unreadable_port_book_is_an_empty_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ports.json"
    path.write_text(content)
    book = PortBook(path, is_free=lambda port: True)
    assert book.kept() == {}
    assert book.port("broker") == book.kept()["broker"]
