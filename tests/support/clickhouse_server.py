"""The local ClickHouse as a child process of a test, and raw HTTP to it."""

import http.client
import io
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import fastavro
from clickhouse_connect.driver.client import Client

from deploy.local.clickhouse import server_argv
from deploy.local.ports import free_port

UP_S = 180.0


class ClickHouseServer:
    """One server on a folder of its own, that a test may stop, kill and start again on the same port."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when /ping answers."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                server_argv(self.data_dir, self.port), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + UP_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/ping", timeout=1):
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"did not come up:\n{(self.data_dir / 'server.log').read_text()}")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(UP_S)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(UP_S)


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def code(self) -> int:
        """ClickHouse's error code; 0 for none."""
        return int(self.headers.get("x-clickhouse-exception-code", "0"))


def ask(
    url: str,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
    **params: str,
) -> Answer:
    """One request: GET without a body, else POST; `params` go into the URL."""
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        sent = body.encode() if isinstance(body, str) else body
        connection.request(
            method or ("GET" if sent is None else "POST"),
            f"{address.path or '/'}?{urllib.parse.urlencode(params)}" if params else address.path or "/",
            sent,
            dict(headers or {}),
        )
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def client_of(url: str, **options: object) -> Client:
    """A clickhouse-connect client of the server at ``url``."""
    host, _, port = url.removeprefix("http://").partition(":")
    return clickhouse_connect.get_client(host=host, port=int(port), **options)


def avro(rows: list[dict[str, object]]) -> bytes:
    """An Avro file of rows with an id and a name."""
    schema = {
        "type": "record",
        "name": "row",
        "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": "string"}],
    }
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema), rows)
    return file.getvalue()
