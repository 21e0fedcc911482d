"""ClickHouse's HTTP interface: requests in, answers out, in the words and headers of a ClickHouse server.

Source: ClickHouse `src/Server/HTTPHandler.cpp` and its documentation of the HTTP interface; what differs from a server
is listed in the package's docstring.
"""

import contextlib
import json
import secrets
import tempfile
from collections.abc import AsyncIterator
from typing import IO

import structlog
from aiohttp import web
from multidict import CIMultiDict

from deploy.local.clickhouse import compression, formats
from deploy.local.clickhouse.body import form_fields, plain_body, statement_and_data
from deploy.local.clickhouse.compression import Encoder
from deploy.local.clickhouse.errors import ServerError, syntax_error
from deploy.local.clickhouse.execution import Run, Runner
from deploy.local.clickhouse.request import Request, read_request
from deploy.local.clickhouse.statement import Kind
from deploy.local.clickhouse.users import User, Users

log = structlog.get_logger(__name__)

HELD_BYTES = 1 << 20
"""An answer up to this size is sent in one piece, with its final summary; a longer one streams."""

SPOOL_BYTES = 16 << 20
"""With `wait_end_of_query=1` an answer beyond this waits in a temporary file."""

DISPLAY_NAME = "accredit-local"


class Server:
    """The handlers of one server."""

    def __init__(self, runner: Runner, users: Users) -> None:
        self._runner = runner
        self._users = users

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application()
        app.router.add_route("GET", "/ping", self._ok)
        app.router.add_route("GET", "/replicas_status", self._ok)
        app.router.add_route("HEAD", "/ping", self._ok)
        app.router.add_route("HEAD", "/replicas_status", self._ok)
        app.router.add_route("*", "/", self._query)
        app.router.add_route("*", "/{rest:.*}", self._nothing_here)
        return app

    async def _ok(self, http: web.Request) -> web.Response:
        return web.Response(text="Ok.\n", content_type="text/html", charset="UTF-8")

    async def _nothing_here(self, http: web.Request) -> web.Response:
        return web.Response(
            status=404,
            text=f"There is no handle {http.path}\n\nUse / or /ping for health checks.\n"
            "Send queries to / with the statement in the parameter query or in the body of a POST.\n",
        )

    async def _query(self, http: web.Request) -> web.StreamResponse:
        if http.method in ("GET", "HEAD") and "query" not in http.query:
            return await self._ok(http)
        if http.method not in ("GET", "HEAD", "POST", "PUT"):
            return web.Response(status=501, text="Use GET or POST.\n")
        query_id = http.query.get("query_id", "")
        try:
            fields = await form_fields(http) if http.content_type == "multipart/form-data" else {}
            request = read_request(http.method, [*http.query.items(), *fields.items()], http.headers)
            query_id = request.query_id
            user = self._users.authenticate(request.user, request.password)
            self._users.check_browser(user, http.headers.get("Origin", ""), http.headers.get("Host", ""))
            return await self._run(http, request, user, has_form=bool(fields))
        except ServerError as error:
            log.debug("query_refused", query_id=query_id, code=error.code, error=error.message)
            return self._refusal(http, error, query_id)

    def _refusal(self, http: web.Request, error: ServerError, query_id: str) -> web.Response:
        headers = self._headers(query_id)
        headers["X-ClickHouse-Exception-Code"] = str(error.code)
        response = web.Response(
            status=error.status,
            text=error.text(self._runner.engine.version),
            headers=headers,
            content_type="text/plain",
        )
        if not http.content.at_eof() and http.method in ("POST", "PUT"):
            response.force_close()  # the rest of a body that nobody will read
        return response

    async def _run(self, http: web.Request, request: Request, user: User, has_form: bool) -> web.StreamResponse:
        get = http.method in ("GET", "HEAD")
        pieces = _nothing() if get or has_form else plain_body(http)
        statement, data = await statement_and_data(request.query, pieces)
        if statement.kind is Kind.EMPTY:
            raise syntax_error("Empty query")
        if statement.kind is Kind.INSERT_DATA:
            async with self._runner.run(request, user, statement, get) as run:
                await run.insert(data)
                return self._small(request, run, b"")
        async with self._runner.run(request, user, statement, get) as run:
            return await self._answer(http, request, run)

    async def _answer(self, http: web.Request, request: Request, run: Run) -> web.StreamResponse:
        """Hold back the beginning (an early error still gets its status), then stream."""
        async with contextlib.aclosing(run.blocks()) as blocks:
            held, size = list[bytes](), 0
            async for block in blocks:
                held.append(block)
                size += len(block)
                if size > HELD_BYTES:
                    break
            else:
                return self._small(request, run, b"".join(held))
            if request.wait_end_of_query:
                with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
                    for block in held:
                        spool.write(block)
                    async for block in blocks:
                        spool.write(block)
                    spool.seek(0)
                    return await self._stream(http, request, run, [], _read(spool))
            return await self._stream(http, request, run, held, blocks)

    async def _stream(
        self, http: web.Request, request: Request, run: Run, held: list[bytes], blocks: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        tag = secrets.token_hex(8)
        headers, encode = self._answer_headers(request, run)
        headers["X-ClickHouse-Exception-Tag"] = tag
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(http)
        try:
            for block in held:
                await _write(response, encode.feed(block))
            held.clear()
            async for block in blocks:
                await _write(response, encode.feed(block))
        except ServerError as error:
            # The status is sent already: say it in the body, as a server does since 25.11, and break the transfer.
            text = error.text(self._runner.engine.version).rstrip("\n").encode()
            marked = b"\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n"
            told = marked % (tag.encode(), text, len(text) + 1, tag.encode())
            await _write(response, encode.feed(told) + encode.finish())
            log.info("query_failed_midway", query_id=request.query_id, code=error.code)
            if http.transport is not None:
                http.transport.close()
            return response
        await _write(response, encode.finish())
        await response.write_eof()
        return response

    def _small(self, request: Request, run: Run, body: bytes) -> web.Response:
        headers, encode = self._answer_headers(request, run)
        return web.Response(body=encode.feed(body) + encode.finish(), headers=headers)

    def _answer_headers(self, request: Request, run: Run) -> tuple[CIMultiDict[str], Encoder]:
        headers = self._headers(request.query_id)
        headers["Content-Type"] = formats.content_type(run.format)
        headers["X-ClickHouse-Format"] = run.format
        headers["X-ClickHouse-Summary"] = json.dumps(run.summary.header(), separators=(",", ":"))
        wanted = request.compressed_answer
        allowed = self._runner.engine.compresses_answers if wanted is None else wanted
        encoding = compression.chosen_encoding(request.accept_encoding) if allowed else ""
        if encoding:
            headers["Content-Encoding"] = encoding
        return headers, compression.encoder(encoding)

    def _headers(self, query_id: str) -> CIMultiDict[str]:
        return CIMultiDict(
            {
                "X-ClickHouse-Server-Display-Name": DISPLAY_NAME,
                "X-ClickHouse-Query-Id": query_id,
                "X-ClickHouse-Timezone": self._runner.engine.timezone,
            }
        )


async def _write(response: web.StreamResponse, data: bytes) -> None:
    if data:
        await response.write(data)


async def _nothing() -> AsyncIterator[bytes]:
    empty: tuple[bytes, ...] = ()
    for piece in empty:
        yield piece


async def _read(spool: IO[bytes]) -> AsyncIterator[bytes]:
    while data := spool.read(HELD_BYTES):
        yield data
