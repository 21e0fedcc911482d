"""One request of ClickHouse's HTTP interface, taken apart: who, which statement, which settings."""

import base64
import binascii
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deploy.local.clickhouse.errors import ServerError, not_implemented

_NOT_SETTINGS = frozenset(
    (
        "query",
        "user",
        "password",
        "quota_key",
        "query_id",
        "stacktrace",
        "compress",
        "decompress",
        "buffer_size",
        "wait_end_of_query",
        "database",
        "default_format",
        "session_id",
        "session_timeout",
        "session_check",
        "close_session",
        "client_protocol_version",
        "enable_http_compression",
        "role",
        "",
    )
)
DEFAULT_SESSION_TIMEOUT = 60
MAX_SESSION_TIMEOUT = 3600


@dataclass(frozen=True, slots=True)
class SessionAsk:
    """The session that a request names; `timeout` in seconds."""

    id: str
    timeout: int
    must_exist: bool
    closes: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What the URL and the headers say; the body comes on its own."""

    user: str
    password: str
    query: str
    settings: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    database: str = ""
    default_format: str = "TabSeparated"
    query_id: str = ""
    wait_end_of_query: bool = False
    compressed_answer: bool | None = None
    accept_encoding: str = ""
    session: SessionAsk | None = None


def read_request(method: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> Request:
    """Read URL parameters and headers (case-insensitive mapping). Raises `ServerError` for what cannot be served."""
    given = dict(query)
    user, password = _credentials(given, headers)
    for name in ("compress", "decompress"):
        if _flag(given, name):
            raise not_implemented(
                f"{name}=1 (ClickHouse's own block compression) is not supported here: "
                "use Content-Encoding and Accept-Encoding with lz4 or zstd"
            )
    if given.get("role"):
        raise ServerError(511, "UNKNOWN_ROLE", f"There is no role `{given['role']}`: roles are not supported here")
    compressed = given.get("enable_http_compression")
    return Request(
        user=user,
        password=password,
        query=given.get("query", ""),
        settings={k: v for k, v in given.items() if k not in _NOT_SETTINGS and not k.startswith("param_")},
        params={k.removeprefix("param_"): v for k, v in given.items() if k.startswith("param_")},
        database=headers.get("X-ClickHouse-Database") or given.get("database", ""),
        default_format=headers.get("X-ClickHouse-Format") or given.get("default_format") or "TabSeparated",
        query_id=given.get("query_id") or headers.get("X-ClickHouse-Query-Id") or str(uuid.uuid4()),
        wait_end_of_query=_flag(given, "wait_end_of_query"),
        compressed_answer=None if compressed is None else _flag(given, "enable_http_compression"),
        accept_encoding=headers.get("Accept-Encoding", ""),
        session=_session(given),
    )


def _flag(given: Mapping[str, str], name: str) -> bool:
    return given.get(name, "0").lower() in ("1", "true", "yes", "on")


def _credentials(given: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    """Basic, X-ClickHouse-User and -Key, or user and password in the URL; never two of them (as the server)."""
    by_header = "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers
    authorization = headers.get("Authorization", "")
    by_url = "user" in given or "password" in given
    if by_header and (authorization or by_url):
        raise _mixed("authentication via headers and another way")
    if authorization and by_url:
        raise _mixed("the Authorization header and authentication via parameters")
    if by_header:
        return headers.get("X-ClickHouse-User") or "default", headers.get("X-ClickHouse-Key", "")
    if authorization:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            raise ServerError(516, "AUTHENTICATION_FAILED", f"Invalid authentication: '{scheme}' is not supported here")
        try:
            name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ServerError(516, "AUTHENTICATION_FAILED", "Invalid authentication: not Base64") from error
        return name or "default", password
    return given.get("user") or "default", given.get("password", "")


def _mixed(what: str) -> ServerError:
    return ServerError(
        516, "AUTHENTICATION_FAILED", f"Invalid authentication: it is not allowed to use {what} simultaneously"
    )


def _session(given: Mapping[str, str]) -> SessionAsk | None:
    if not given.get("session_id"):
        return None
    text = given.get("session_timeout", str(DEFAULT_SESSION_TIMEOUT))
    if not text.isdecimal() or int(text) > MAX_SESSION_TIMEOUT:
        raise ServerError(
            374,
            "INVALID_SESSION_TIMEOUT",
            f"Invalid session timeout: '{text}' (seconds, at most {MAX_SESSION_TIMEOUT})",
        )
    return SessionAsk(given["session_id"], int(text), _flag(given, "session_check"), _flag(given, "close_session"))
