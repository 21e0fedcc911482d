"""The little of HTTP that the doors share: requests, answers, problem documents (RFC 9457)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol

import orjson

from ingest.errors import Refusal
from schemas.errors import InvalidEvent

HeaderList = list[tuple[str, str]]
PROBLEM_JSON: Final = ("content-type", "application/problem+json")
JSON: Final = ("content-type", "application/json")
NO_STORE: Final = ("cache-control", "no-store")
UNKNOWN_REASONS: Final = frozenset({"UNKNOWN_OFFER", "UNKNOWN_ADVERTISER", "UNKNOWN_PROGRAM"})
UNPROVEN_REASONS: Final = frozenset({"POSTBACK_TOKEN", "POSTBACK_SIGNATURE"})
FORBIDDEN_REASONS: Final = frozenset(
    {"NOT_YOURS", "NOT_PERMITTED", "POSTBACK_ADDRESS", "POSTBACK_AUTH_MISSING", "PIXEL_NOT_ALLOWED"}
)
CHALLENGE: Final = ("www-authenticate", 'Bearer realm="accredit"')


class RequestHeaders(Protocol):
    """Names are lower case; a header that is not UTF-8 is not there."""

    def get(self, key: str, default: Any = None, /) -> Any: ...

    def get_all(self, key: str, /) -> list[str]: ...


class Scope(Protocol):
    """What is asked: ``path`` is percent-decoded, ``client`` is ``address:port``."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query_string(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def authority(self) -> str | None: ...
    @property
    def headers(self) -> RequestHeaders: ...


class Exchange(Protocol):
    """The other half: the body comes in chunks, one response goes out."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def respond(self, status: int, headers: HeaderList, body: bytes = b"") -> None: ...


class Answer:
    """What a door answers."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: HeaderList, body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Pending:
    """An answer that goes out once an event of this ``kind`` is durable.

    ``lost``: what is answered when it cannot be made so; it may raise what it is given.
    """

    __slots__ = ("answer", "durable", "kind", "lost")

    def __init__(
        self, durable: asyncio.Future[None], answer: Answer, kind: str, lost: Callable[[BaseException], Answer]
    ) -> None:
        self.durable = durable
        self.answer = answer
        self.kind = kind
        self.lost = lost


Outcome = Answer | Pending | Coroutine[Any, Any, Answer]
"""What a door makes of a request. Visits are answers or pending, which costs no task."""


async def answer_of(outcome: Outcome) -> Answer:
    """What goes out in the end, for those who can wait."""
    if isinstance(outcome, Answer):
        return outcome
    if not isinstance(outcome, Pending):
        return await outcome
    try:
        await outcome.durable
    except Exception as error:
        return outcome.lost(error)
    return outcome.answer


def json_answer(status: int, content: Any) -> Answer:
    return Answer(status, [JSON, NO_STORE], orjson.dumps(content))


def problem(refusal: Refusal, **more: Any) -> Answer:
    """A refusal as a problem document: type, title, status, detail, our ``reason`` code and ``field``, and ``more``."""
    content: Mapping[str, Any] = {
        "type": f"urn:accredit:problem:{refusal.reason.lower().replace('_', '-')}",
        "title": refusal.reason.replace("_", " ").capitalize(),
        "status": refusal.status,
        "detail": refusal.detail,
        "reason": refusal.reason,
        "field": refusal.field,
        **more,
    }
    return Answer(refusal.status, [PROBLEM_JSON, NO_STORE, *refusal.headers], orjson.dumps(content))


def refusal_of(error: InvalidEvent, status: int | None = None) -> Refusal:
    """400 for what is malformed, 422 for what names something the catalog does not have, 401 and 403 for another's."""
    if error.reason in UNPROVEN_REASONS:
        return Refusal(HTTPStatus.UNAUTHORIZED, error.reason, error.detail, field=error.field, headers=[CHALLENGE])
    if error.reason in FORBIDDEN_REASONS:
        status = HTTPStatus.FORBIDDEN
    elif status is None:
        status = HTTPStatus.UNPROCESSABLE_ENTITY if error.reason in UNKNOWN_REASONS else HTTPStatus.BAD_REQUEST
    return Refusal(status, error.reason, error.detail, field=error.field)


def host_of(scope: Scope) -> str:
    """The host the visitor asked for, with its port."""
    return scope.authority or scope.headers.get("host") or ""


def address_of(scope: Scope) -> str:
    """The peer's address without its port."""
    return scope.client.rpartition(":")[0].strip("[]")


def traceparent_of(scope: Scope) -> str | None:
    value = scope.headers.get("traceparent")
    return value if isinstance(value, str) else None
