"""``GET /v1/catalog`` and ``PUT /v1/catalog``: what `accredit catalog` does, over HTTP.

A change names the version that it was made from (``If-Match``), so that nobody overwrites what they have not seen;
``?dry_run=true`` gives the difference and writes nothing. Everything slow (Kafka, parsing) is in a thread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
import structlog

from ingest.access.sender import Sender
from ingest.bodies import read_body
from ingest.catalog_log import publish_catalog, read_catalog_log
from ingest.compression import decompressed
from ingest.door import DoorContext
from ingest.errors import CatalogRaced, KafkaUnreachable, Refusal
from ingest.http import JSON, NO_STORE, Answer, Exchange, HeaderList, Scope, problem
from ingest.query import parse_query
from schemas.catalog import CatalogLog, load_catalog
from schemas.catalog.diff import Change, diff
from schemas.catalog.document import read_document
from schemas.errors import CatalogInvalid, Problem
from schemas.records import CatalogVersion
from schemas.times import format_time

log = structlog.get_logger(__name__)

YAML = ("content-type", "application/yaml; charset=utf-8")
TAGS = re.compile(r'(?:W/)?"([^"]*)"')
PROBLEMS_SHOWN = 200
DETAIL_LIMIT = 500
READ_TIMEOUT_S = 10.0


class Asked(NamedTuple):
    """A PUT. ``expected``: the versions of If-Match, None without one, ``("*",)`` for any."""

    text: str
    expected: tuple[str, ...] | None
    dry_run: bool
    author: str


class CatalogDoor:
    """Reads and applies catalogs. One change at a time per process; between processes the log decides."""

    methods = ("GET", "PUT")

    def __init__(self, context: DoorContext) -> None:
        self._context = context
        self._applying = asyncio.Lock()

    async def __call__(self, scope: Scope, exchange: Exchange) -> Answer:
        writes = scope.method == "PUT"
        sender = self._context.gate.bulk(scope, "catalog:write" if writes else "catalog:read")
        try:
            return await (self._put(scope, exchange, sender) if writes else self._get(scope))
        except KafkaUnreachable as error:
            log.warning("catalog_log_unreachable", error=str(error))
            detail = "the catalog log cannot be reached; come again later"
            headers = [("retry-after", str(self._context.settings.retry_after_s))]
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "NO_CATALOG_LOG", detail, headers=headers) from None

    async def _get(self, scope: Scope) -> Answer:
        """The newest version, or ``?version=N``: as it was applied, or as JSON with ``Accept: application/json``."""
        asked = parse_query(scope.query_string).get("version")
        if asked is not None and not (asked.isascii() and asked.isdecimal() and 0 < len(asked) <= 9):
            raise Refusal(HTTPStatus.BAD_REQUEST, "INVALID_FIELD", "is a number like 3", field="version")
        versions = (await asyncio.to_thread(self._read)).versions
        number = len(versions) if asked is None else int(asked)
        if not 0 < number <= len(versions):
            detail = f"there is no version {number}; the newest is {len(versions)}" if versions else "there is none yet"
            raise Refusal(HTTPStatus.NOT_FOUND, "NO_SUCH_CATALOG", detail)
        version = versions[number - 1]
        headers = [*headers_of(version), NO_STORE, ("vary", "accept")]
        if "application/json" in (scope.headers.get("accept") or ""):
            data = await asyncio.to_thread(lambda: read_document(version.document, "catalog").data)
            return Answer(HTTPStatus.OK, [JSON, *headers], orjson.dumps(data))
        return Answer(HTTPStatus.OK, [YAML, *headers], version.document.encode())

    async def _put(self, scope: Scope, exchange: Exchange, sender: Sender) -> Answer:
        settings = self._context.settings
        raw = await read_body(scope, exchange, limit=settings.body_limit, timeout_s=settings.body_timeout_s)
        encoding = scope.headers.get("content-encoding")
        body = await decompressed(raw, encoding, limit=settings.body_limit)
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            detail = f"the body is not UTF-8 ({error.reason} at byte {error.start})"
            raise Refusal(HTTPStatus.BAD_REQUEST, "INVALID_BODY", detail) from None
        if not text.strip():
            detail = "there is nothing in the body; an empty catalog is {}"
            raise Refusal(HTTPStatus.BAD_REQUEST, "EMPTY_BODY", detail)
        dry_run = parse_query(scope.query_string).get("dry_run", "false").lower()
        if dry_run not in ("true", "false"):
            raise Refusal(HTTPStatus.BAD_REQUEST, "INVALID_FIELD", "is true or false", field="dry_run")
        author = sender.name if sender.key_id is None else f"{sender.name} (key {sender.key_id})"
        asked = Asked(text, if_match(scope.headers.get_all("if-match")), dry_run == "true", author)
        async with self._applying:
            try:
                return await asyncio.to_thread(self._apply, asked)
            except CatalogInvalid as error:
                return problems_answer(error.problems)
            except CatalogRaced as error:
                detail = f"version {error.version} was applied at the same moment and was first; look at it, then again"
                raise raced(error.version, detail) from None

    def _read(self) -> CatalogLog:
        return read_catalog_log(self._context.settings.kafka, READ_TIMEOUT_S)

    def _apply(self, asked: Asked) -> Answer:
        """In a thread."""
        new = load_catalog(asked.text, "catalog")
        known = self._read()
        latest = known.latest
        at = 0 if latest is None else latest.version
        demand_match(asked, at)
        changes = diff(None if latest is None else known.catalog(at), new)
        said: dict[str, Any] = {"dry_run": asked.dry_run, "base_version": at, "changes": list(map(public, changes))}
        if asked.dry_run or (latest is not None and not changes):
            # nothing is written: the version there would be, or the one that says the same already
            number = at + 1 if changes or latest is None else at
            tag = [] if latest is None else headers_of(latest)
            return Answer(HTTPStatus.OK, [JSON, NO_STORE, *tag], orjson.dumps({**said, "version": number}))
        version = publish_catalog(self._context.settings.kafka, asked.text, asked.author, after=at)
        log.info("catalog_applied", version=version.version, author=asked.author, changes=len(changes))
        said |= {"version": version.version, "effective_at": format_time(version.effective_at)}
        status = HTTPStatus.CREATED if at == 0 else HTTPStatus.OK
        return Answer(status, [JSON, NO_STORE, *headers_of(version)], orjson.dumps(said))


def if_match(values: Sequence[str]) -> tuple[str, ...] | None:
    """What stands in If-Match; None without one. A weak tag is as good as a strong one: there is one document."""
    text = ",".join(values).strip()
    if not text:
        return None
    return ("*",) if text == "*" else tuple(TAGS.findall(text))


def demand_match(asked: Asked, at: int) -> None:
    """Refusal 428 for a change that does not say what it changes, 412 for one made from another version."""
    if asked.expected is None:
        if at and not asked.dry_run:
            detail = f'the newest version is {at}: look at it, then send If-Match: "{at}"'
            raise Refusal(HTTPStatus.PRECONDITION_REQUIRED, "IF_MATCH_REQUIRED", detail, headers=[etag(at)])
        return
    if not at or (asked.expected != ("*",) and str(at) not in asked.expected):
        detail = (
            f"the newest version is {at}, which is not what this change was made from" if at else "there is none yet"
        )
        raise raced(at, detail)


def raced(at: int, detail: str) -> Refusal:
    headers = [etag(at)] if at else []
    return Refusal(HTTPStatus.PRECONDITION_FAILED, "CATALOG_CHANGED", detail, field="If-Match", headers=headers)


def etag(version: int) -> tuple[str, str]:
    return ("etag", f'"{version}"')


def headers_of(version: CatalogVersion) -> HeaderList:
    return [etag(version.version), ("accredit-effective-at", format_time(version.effective_at))]


def public(change: Change) -> dict[str, Any]:
    fields = [{"field": field, "old": old, "new": new} for field, old, new in change.fields]
    return {"sign": change.sign, "kind": change.kind, "name": change.name, "fields": fields}


def problems_answer(problems: Sequence[Problem]) -> Answer:
    """422 with every place that is wrong: line, field and what to do."""
    shown = [
        {"line": each.line, "field": each.path[:DETAIL_LIMIT], "detail": each.detail[:DETAIL_LIMIT]}
        for each in problems[:PROBLEMS_SHOWN]
    ]
    detail = f"{len(problems)} things are wrong; nothing was applied"
    refusal = Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "CATALOG_INVALID", detail, field=problems[0].path[:DETAIL_LIMIT])
    return problem(refusal, problems=shown)
