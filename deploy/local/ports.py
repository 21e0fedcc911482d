"""Loopback ports for the services of one machine: chosen once, then kept."""

import json
import os
import random
import socket
from collections.abc import Callable, Container
from pathlib import Path

import structlog

from deploy.local.errors import NoFreePort

log = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"
FIRST_PORT, LAST_PORT = 20_000, 32_767
"""Below the range from which Linux (32768 up) and macOS (49152 up) number outgoing connections. A service's port in
that range could be taken by any connection while the service is down; worse, a client that keeps trying to reconnect
to it can be given that very number and connect to itself."""

TRIES = 200


def can_bind(port: int) -> bool:
    """Whether a service could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As services do: connections of an earlier run that linger in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(besides: Container[int] = (), is_free: Callable[[int], bool] = can_bind) -> int:
    """A loopback port that nothing listens on and that is not in `besides`. Raises NoFreePort.

    It is not reserved: another process may take it before it is used.
    """
    for _ in range(TRIES):
        port = random.randint(FIRST_PORT, LAST_PORT)
        if port not in besides and is_free(port):
            return port
    raise NoFreePort(FIRST_PORT, LAST_PORT, TRIES)


class PortBook:
    """Named ports in a JSON file (`{"broker": 20123}`), so that addresses survive a restart.

    One process at a time writes a book. An unreadable file counts as an empty one.
    """

    def __init__(self, path: Path, is_free: Callable[[int], bool] = can_bind) -> None:
        self._path = path
        self._is_free = is_free

    def kept(self) -> dict[str, int]:
        """The ports in the book, whether they are free or not."""
        try:
            content = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            log.warning("port_book_unreadable", path=str(self._path))
            return {}
        if not isinstance(content, dict):
            return {}
        return {str(name): port for name, port in content.items() if isinstance(port, int)}

    def port(self, name: str) -> int:
        """The port kept under this name if nothing listens on it, else a new one, kept from now on. Raises NoFreePort.

        Ask for it when the service is down: one that is up has its port taken, by itself.
        """
        ports = self.kept()
        kept = ports.get(name)
        if kept is not None and self._is_free(kept):
            return kept
        ports[name] = free_port(besides=set(ports.values()), is_free=self._is_free)
        if kept is not None:
            log.warning("port_taken", name=name, kept=kept, chosen=ports[name])
        self._write(ports)
        return ports[name]

    def _write(self, ports: dict[str, int]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        fresh.write_text(json.dumps(ports, indent=2) + "\n")
        fresh.replace(self._path)
