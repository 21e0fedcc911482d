"""ClickHouse's formats, as far as an answer's headers and streaming need them.

chDB's streaming query renders each block as a document of its own. For some formats the documents joined are the
document of the whole; for those with a header the header of every block but the first must go; the rest (JSON,
Parquet, Arrow, Pretty…) can only be made in one piece.
"""

from collections.abc import Callable

_CONCATENABLE = frozenset(
    (
        "native",
        "rowbinary",
        "rowbinarywithdefaults",
        "tabseparated",
        "tsv",
        "tabseparatedraw",
        "tsvraw",
        "raw",
        "tskv",
        "csv",
        "jsoneachrow",
        "jsonlines",
        "ndjson",
        "jsonstringseachrow",
        "jsoncompacteachrow",
        "jsoncompactstringseachrow",
        "lineasstring",
        "rawblob",
        "msgpack",
        "null",
    )
)
_LINES = {
    f"{base}{raw}with{names}": lines
    for base, raws in (
        ("tabseparated", ("", "raw")),
        ("tsv", ("", "raw")),
        ("csv", ("",)),
        ("jsoncompacteachrow", ("",)),
        ("jsoncompactstringseachrow", ("",)),
    )
    for raw in raws
    for names, lines in (("names", 1), ("namesandtypes", 2))
}
_BINARY_HEADERS = {"rowbinarywithnames": 1, "rowbinarywithnamesandtypes": 2}
_WHOLE_SETTINGS = frozenset(
    (
        "EXTREMES",
        "OUTPUT_FORMAT_JSON_ARRAY_OF_ROWS",
        "OUTPUT_FORMAT_BINARY_ENCODE_TYPES_IN_BINARY_FORMAT",
        "TOTALS",
    )
)
_CONTENT_TYPES = (
    (("json",), "application/json; charset=UTF-8"),
    (("tabseparated", "tsv"), "text/tab-separated-values; charset=UTF-8"),
    (("csv",), "text/csv; charset=UTF-8; header=absent"),
    (("xml",), "application/xml; charset=UTF-8"),
    (("html",), "text/html; charset=UTF-8"),
    (
        ("native", "rowbinary", "parquet", "orc", "arrow", "avro", "msgpack", "protobuf", "capnproto", "npy", "bson"),
        "application/octet-stream",
    ),
)


def content_type(fmt: str) -> str:
    """The Content-Type of an answer in this format, as a server gives it."""
    name = fmt.lower()
    if name.startswith("csvwithnames"):
        return "text/csv; charset=UTF-8; header=present"
    if "eachrow" in name and not name.startswith("jsoncompact"):
        return "application/x-ndjson; charset=UTF-8"
    for prefixes, given in _CONTENT_TYPES:
        if name.startswith(prefixes):
            return given
    return "text/plain; charset=UTF-8"


def header_cutter(fmt: str, words: frozenset[str]) -> Callable[[bytes], int] | None:
    """For a format that can stream: a function from a block to the length of the header that it repeats.

    None where the answer must be made in one piece: other formats, and totals, extremes or settings (`words` of the
    statement and of the settings, in upper case) that add something at the end or around the rows.
    """
    if words & _WHOLE_SETTINGS:
        return None
    name = fmt.lower()
    if name in _CONCATENABLE:
        return lambda _: 0
    if lines := _LINES.get(name):
        quote = b'"' if name.startswith("csv") else b""
        return lambda block: _lines_end(block, lines, quote)
    if rows := _BINARY_HEADERS.get(name):
        return lambda block: _binary_header_end(block, rows)
    return None


def _lines_end(block: bytes, lines: int, quote: bytes) -> int:
    """Where the first `lines` lines end; a newline inside quotes ends no line."""
    end = 0
    for _ in range(lines):
        start = end
        while True:
            found = block.find(b"\n", end)
            if found < 0:
                return len(block)
            end = found + 1
            if not quote or block.count(quote, start, end) % 2 == 0:
                break
    return end


def _binary_header_end(block: bytes, rows: int) -> int:
    """RowBinaryWithNames: the number of columns, then their names (and types), each with its length before it."""
    columns, at = _varint(block, 0)
    for _ in range(columns * rows):
        length, at = _varint(block, at)
        at += length
    return at


def _varint(block: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = block[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
