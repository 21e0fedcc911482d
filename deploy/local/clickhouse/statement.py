"""What a statement is: its kind, where an INSERT's data begins, the format it names.

A lexer for ClickHouse's tokens (`Parsers/Lexer.cpp`) and a reader of just as much grammar as an HTTP server needs to
route a request. It decides nothing about rights: the engine does that, and `engine.py` asks the engine's own parser
about the statements of read-only users.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from deploy.local.clickhouse.errors import ServerError, access_denied, not_implemented, syntax_error

_TOKEN = re.compile(
    rb"""
    (?P<space>(?:[\s\x00]|\xc2\xa0|\xe2\x80[\x80-\x8b]|\xe3\x80\x80|\xef\xbb\xbf)+
        |--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
    |(?P<string>'(?:[^'\\]|\\.|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|\xe2\x80\x98.*?\xe2\x80\x99)
    |(?P<quoted>"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`|\xe2\x80\x9c.*?\xe2\x80\x9d)
    |(?P<word>[A-Za-z_][\w$]*)
    |(?P<number>[0-9][\w.]*)
    |(?P<mark>.)
    """,
    re.DOTALL | re.VERBOSE,
)
_OPEN, _CLOSE = frozenset((b"(", b"[", b"{")), frozenset((b")", b"]", b"}"))
_AFTER_FORMAT = re.compile(rb"[ \t\f]*\r?\n?")
_READING = frozenset(("SELECT", "WITH", "FROM", "("))


class Kind(Enum):
    """How a statement is run."""

    EMPTY = "empty"
    SELECT = "select"  # can stream
    INSERT_DATA = "insert data"  # the data follows the statement
    SESSION = "session"  # leaves something behind: SET, USE, temporary tables
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `text` is as written, `word` upper-cased and unquoted for words and quoted identifiers."""

    kind: str
    text: bytes
    start: int
    end: int

    @property
    def word(self) -> str:
        text = self.text.decode("utf-8", "replace")
        if self.kind == "quoted":
            text = text[1:-1]
        return text.upper()


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as far as routing needs it.

    `text` is the statement (for INSERT_DATA without FORMAT, VALUES and data), `format` the format it names,
    `data_at` where an INSERT's data begins in the text that was read, `words` every word and quoted identifier in
    upper case, `calls` those in a position where they name a function. `complete` is false while more text could
    still change the reading (an INSERT cut off before its FORMAT).
    """

    kind: Kind
    first: str
    text: bytes
    format: str | None = None
    data_at: int = 0
    words: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    complete: bool = True


def tokens(text: bytes, start: int = 0) -> Iterator[Token]:
    """Tokens of `text` without white space and comments."""
    for found in _TOKEN.finditer(text, start):
        kind = found.lastgroup or "mark"
        if kind == "tag":
            kind = "string"
        if kind != "space":
            yield Token(kind, found[0], found.start(), found.end())


def read_statement(text: bytes) -> Statement:
    """Read the statement at the head of a request.

    Raises `ServerError` for several statements in one text, INTO OUTFILE and FROM INFILE, as a server does.
    """
    opening = next(tokens(text), None)
    if opening is None or opening.text == b";":
        return Statement(Kind.EMPTY, "", b"")
    first = opening.word
    if first == "INSERT":
        return _read_insert(text)
    return _read_whole(text, first)


def _read_whole(text: bytes, first: str) -> Statement:
    seen = list(tokens(text))
    while seen and seen[-1].text == b";":
        seen.pop()
    _refuse_several(seen)
    words = _words(seen)
    _refuse_files(seen, words)
    kind = Kind.OTHER
    if first in _READING:
        kind = Kind.SELECT
    elif first in ("SET", "USE") or (first in ("CREATE", "REPLACE", "DROP", "ATTACH") and "TEMPORARY" in words):
        kind = Kind.SESSION
    whole = text[: seen[-1].end]
    return Statement(kind, first, whole, _trailing_format(seen), len(text), words, _calls(seen))


def _read_insert(text: bytes) -> Statement:
    """INSERT: walk to FORMAT, VALUES or a SELECT at depth 0, and never lex the data."""
    depth, seen = 0, list[Token]()
    for token in tokens(text):
        previous = seen[-1] if seen else None
        seen.append(token)
        if token.text in _OPEN:
            depth += 1
        elif token.text in _CLOSE:
            depth -= 1
        elif token.text == b";" and depth == 0:
            return _bare_insert(text, seen[:-1], token.end)
        elif token.kind == "word" and (depth == 0 or (previous is not None and previous.text == b"(" and depth == 1)):
            word = token.word
            if depth == 0 and word == "INFILE":
                _refuse_files(seen, _words(seen))
            if depth == 0 and word == "VALUES" and not _names_something(previous):
                before = seen[:-1]
                return _data_insert(text, before, token.start, "Values", token.end)
            if depth == 0 and word == "FORMAT" and not _names_something(previous):
                return _insert_format(text, seen)
            if word in ("SELECT", "WITH") and not _names_something(previous):
                return _insert_select(text)
    return _bare_insert(text, seen, len(text))


def _names_something(previous: Token | None) -> bool:
    """Whether the word after `previous` is a name (INTO format, db.values), not a keyword."""
    return previous is None or previous.text == b"." or previous.word in ("INTO", "TABLE", "FUNCTION")


def _insert_format(text: bytes, seen: list[Token]) -> Statement:
    named = next(tokens(text, seen[-1].end), None)
    if named is None:
        return _bare_insert(text, seen, len(text))  # the engine says what is missing, if nothing more comes
    if named.kind != "word":
        raise syntax_error("INSERT ... FORMAT without the name of a format")
    data_at = named.end
    if skipped := _AFTER_FORMAT.match(text, data_at):
        data_at = skipped.end()
    return _data_insert(text, seen[:-1], seen[-1].start, named.text.decode(), data_at)


def _data_insert(text: bytes, seen: list[Token], ends_at: int, fmt: str, data_at: int) -> Statement:
    statement = text[:ends_at].rstrip()
    return Statement(
        Kind.INSERT_DATA, "INSERT", statement, fmt, data_at, _words(seen), _calls(seen), complete=data_at < len(text)
    )


def _bare_insert(text: bytes, seen: list[Token], data_at: int) -> Statement:
    """INSERT INTO t with no FORMAT: the server reads Values."""
    bare = _data_insert(text, seen, seen[-1].end, "Values", data_at)
    return replace(bare, complete=data_at < len(text))


def _insert_select(text: bytes) -> Statement:
    """INSERT ... SELECT, with no data after it; input() would have some."""
    statement = _read_whole(text, "INSERT")
    if "INPUT" in statement.calls:
        # chDB runs it, reads no data and reports success.
        raise not_implemented(
            "INSERT ... SELECT ... FROM input() is not supported here: insert into a temporary table and select from it"
        )
    return replace(statement, complete=False)


def _refuse_several(seen: list[Token]) -> None:
    depth = 0
    for token in seen:
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if token.text == b";" and depth <= 0:
            raise syntax_error("(Multi-statements are not allowed): send one statement a request")


def _refuse_files(seen: list[Token], words: frozenset[str]) -> None:
    if not words & {"OUTFILE", "INFILE"}:
        return
    for before, token in pairwise(seen):
        if token.kind == "word" and (before.word, token.word) == ("INTO", "OUTFILE"):
            raise ServerError(358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed")
        if token.kind == "word" and (before.word, token.word) == ("FROM", "INFILE"):
            raise access_denied("default", "FROM INFILE is not allowed: send the data with the statement")


def _words(seen: list[Token]) -> frozenset[str]:
    return frozenset(token.word for token in seen if token.kind in ("word", "quoted"))


def _calls(seen: list[Token]) -> frozenset[str]:
    """Names followed by a parenthesis, or applied to columns with APPLY."""
    found = set()
    for index, token in enumerate(seen):
        if token.kind not in ("word", "quoted"):
            continue
        before = [each.word for each in seen[max(0, index - 2) : index]]
        called = index + 1 < len(seen) and seen[index + 1].text == b"("
        if called or before[-1:] == ["APPLY"] or before == ["APPLY", "("]:
            found.add(token.word)
    return frozenset(found)


def _trailing_format(seen: list[Token]) -> str | None:
    """The format that a statement's FORMAT clause names: at depth 0, followed by nothing or SETTINGS."""
    depth, found = 0, None
    for index, token in enumerate(seen[:-1]):
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if depth == 0 and token.kind == "word" and token.word == "FORMAT" and seen[index + 1].kind == "word":
            rest = seen[index + 2 : index + 3]
            if not rest or rest[0].word == "SETTINGS":
                found = seen[index + 1].text.decode()
    return found
