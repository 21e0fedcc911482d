"""What the local ClickHouse answers when something is wrong.

    ServerError             an error in ClickHouse's own words: code, name, message, HTTP status
      engine_error(exc)     makes one from what chDB raised
    StartError              the process cannot start; the message says the way out

Codes, names and the mapping to HTTP statuses are the server's (ClickHouse `exceptionCodeToHTTPStatus.cpp`).
"""

import re

from deploy.local.errors import LocalServiceError

_BAD_REQUEST = frozenset(
    [
        "BAD_ARGUMENTS",
        "CANNOT_COMPILE_REGEXP",
        "CANNOT_PARSE_TEXT",
        "CANNOT_PARSE_ESCAPE_SEQUENCE",
        "CANNOT_PARSE_QUOTED_STRING",
        "CANNOT_PARSE_DATE",
        "CANNOT_PARSE_DATETIME",
        "CANNOT_PARSE_NUMBER",
        "CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING",
        "CANNOT_PARSE_IPV4",
        "CANNOT_PARSE_IPV6",
        "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
        "CANNOT_PARSE_UUID",
        "DUPLICATE_COLUMN",
        "ILLEGAL_COLUMN",
        "UNKNOWN_ELEMENT_IN_AST",
        "UNKNOWN_TYPE_OF_AST_NODE",
        "THERE_IS_NO_COLUMN",
        "TOO_DEEP_AST",
        "TOO_BIG_AST",
        "UNEXPECTED_AST_STRUCTURE",
        "SYNTAX_ERROR",
        "INCORRECT_DATA",
        "TYPE_MISMATCH",
        "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    ]
)
_NOT_FOUND = frozenset(
    [
        "UNKNOWN_TABLE",
        "UNKNOWN_FUNCTION",
        "UNKNOWN_IDENTIFIER",
        "UNKNOWN_TYPE",
        "UNKNOWN_STORAGE",
        "UNKNOWN_DATABASE",
        "UNKNOWN_SETTING",
        "UNKNOWN_DIRECTION_OF_SORTING",
        "UNKNOWN_AGGREGATE_FUNCTION",
        "UNKNOWN_FORMAT",
        "UNKNOWN_DATABASE_ENGINE",
        "UNKNOWN_TYPE_OF_QUERY",
        "UNKNOWN_ROLE",
    ]
)
_FORBIDDEN = frozenset(
    ("UNKNOWN_USER", "WRONG_PASSWORD", "AUTHENTICATION_FAILED", "SET_NON_GRANTED_ROLE", "ACCESS_DENIED")
)
_OTHER = {
    "REQUIRED_PASSWORD": 401,
    "TIMEOUT_EXCEEDED": 408,
    "HTTP_LENGTH_REQUIRED": 411,
    "QUERY_IS_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "NOT_IMPLEMENTED": 501,
    "SOCKET_TIMEOUT": 503,
    "CANNOT_OPEN_FILE": 503,
    "CANNOT_SCHEDULE_TASK": 503,
    # The server says 500; 503 is what lets clients that retry on it wait for a free place.
    "TOO_MANY_SIMULTANEOUS_QUERIES": 503,
}
_ENGINE_TEXT = re.compile(r"Code: (?P<code>\d+)\. (?:DB::Exception: )?(?P<message>.*)", re.DOTALL)
_TAIL = re.compile(r"(?: \(version [^)]*\))?\.?\s*$")
_NAME = re.compile(r"\.? \(([A-Z][A-Z0-9_]+)\)$")


class ServerError(Exception):
    """One refusal or failure of a query, as a ClickHouse server words it."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.name = name
        self.message = message

    @property
    def status(self) -> int:
        """HTTP status that a ClickHouse server answers for this error."""
        if self.name in _BAD_REQUEST:
            return 400
        if self.name in _NOT_FOUND:
            return 404
        if self.name in _FORBIDDEN:
            return 403
        return _OTHER.get(self.name, 500)

    def text(self, version: str) -> str:
        """The body of the answer; `version` is the engine's."""
        return f"Code: {self.code}. DB::Exception: {self.message}. ({self.name}) (version {version})\n"


class StartError(LocalServiceError):
    """The process cannot start: a data folder in use, an unreadable users file, an unsafe address.

    Operator: the message names the thing and the way out.
    """


def engine_error(exc: BaseException, user: str = "default") -> ServerError:
    """Turn chDB's exception into a `ServerError`; `user` replaces the engine's own single user in the text."""
    text = str(exc).strip()
    found = _ENGINE_TEXT.search(text)
    if found is None:
        return ServerError(1002, "UNKNOWN_EXCEPTION", text or type(exc).__name__)
    message, name = _TAIL.sub("", found["message"]), "UNKNOWN_EXCEPTION"
    if named := _NAME.search(message):
        message, name = message[: named.start()], named[1]
    if message.startswith("default: "):
        message = f"{user}: {message.removeprefix('default: ')}"
    return ServerError(int(found["code"]), name, message.rstrip(". "))


def readonly(user: str) -> ServerError:
    """A read-only user, or GET, asked for something that writes."""
    return ServerError(164, "READONLY", f"{user}: Cannot execute query in readonly mode")


def access_denied(user: str, message: str) -> ServerError:
    """Something nobody, or not this user, may do."""
    return ServerError(497, "ACCESS_DENIED", f"{user}: Not enough privileges. {message}")


def syntax_error(message: str) -> ServerError:
    """The statement cannot be understood."""
    return ServerError(62, "SYNTAX_ERROR", f"Syntax error: {message}")


def not_implemented(message: str) -> ServerError:
    """A feature of the server that this process does not have."""
    return ServerError(48, "NOT_IMPLEMENTED", message)


def authentication_failed(user: str) -> ServerError:
    """Unknown user or wrong password; the text does not say which."""
    return ServerError(
        516,
        "AUTHENTICATION_FAILED",
        f"{user}: Authentication failed: password is incorrect, or there is no user with such name",
    )
