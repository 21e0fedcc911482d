"""The body of a request: decompressed as it comes, the statement at its head found, the rest left as data."""

from collections.abc import AsyncIterator

from aiohttp import web

from deploy.local.clickhouse.compression import decoder
from deploy.local.clickhouse.errors import ServerError, not_implemented
from deploy.local.clickhouse.statement import Kind, Statement, read_statement, tokens

HEAD_BYTES = 64 * 1024
"""An INSERT's statement is looked for in this much; more is read only while the statement is not complete."""

STATEMENT_BYTES = 16 << 20
"""The longest statement that is taken at all; the engine's `max_query_size` (256 KiB unless set) is below it."""


async def plain_body(http: web.Request) -> AsyncIterator[bytes]:
    """The body in pieces, without its Content-Encoding. Raises `ServerError` for what cannot be decompressed."""
    decode = decoder(http.headers.get("Content-Encoding", ""))
    async for piece in http.content.iter_any():
        if plain := decode.feed(piece):
            yield plain
    decode.finish()


async def form_fields(http: web.Request) -> dict[str, str]:
    """The fields of a multipart form, which count as URL parameters; files (external tables) are refused."""
    fields = {}
    async for part in await http.multipart():
        name = getattr(part, "name", None)
        if getattr(part, "filename", None) or not name:
            raise not_implemented(
                "external data (files in a multipart form) is not supported here: use a temporary table"
            )
        fields[name] = await part.text()  # type: ignore[union-attr]  # part of a form, not a nested multipart
    return fields


async def statement_and_data(query: str, pieces: AsyncIterator[bytes]) -> tuple[Statement, AsyncIterator[bytes]]:
    """Read as much of `query` and the body as the statement needs; the iterator gives an INSERT's data.

    With both, the statement is the parameter, a newline and the body. Raises `ServerError`.
    """
    text = bytearray(query.encode("utf-8", "surrogateescape"))
    separator = b"\n" if text else b""
    async for piece in pieces:
        text += separator + piece
        separator = b""
        if len(text) < HEAD_BYTES:
            continue
        if len(text) > STATEMENT_BYTES:
            raise ServerError(62, "SYNTAX_ERROR", f"Syntax error: Max query size exceeded ({STATEMENT_BYTES} bytes)")
        statement = _complete_insert(bytes(text))
        if statement is not None:
            return statement, _data(bytes(text[statement.data_at :]), pieces)
    statement = read_statement(bytes(text))
    return statement, _data(bytes(text[statement.data_at :]), pieces)


def _complete_insert(head: bytes) -> Statement | None:
    """The INSERT at the head of a longer text, if all of its statement is in there."""
    first = next(tokens(head), None)
    if first is None or first.word != "INSERT":
        return None
    try:
        statement = read_statement(head)
    except ServerError:
        return None  # it may be right once the rest is here; if not, it is refused then
    return statement if statement.complete and statement.kind is Kind.INSERT_DATA else None


async def _data(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for piece in pieces:
        yield piece
