"""A conversion link's request as it may be kept: without secrets, and with every buyer's name as a hash.

What is kept is otherwise what came, byte for byte, so that `accredit dead-letters retry` can take it again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import orjson

from ingest.access.gate import SECRET_PARAMETERS
from ingest.http import Scope
from schemas.customer import customer_hash, without_emails
from schemas.errors import InvalidEvent

SECRET = re.compile(r"token|secret|signature|passw|api_?key", re.IGNORECASE)
"""Names that look like a secret of somebody's are never kept, whoever's dialect they are."""
SECRET_IN_TEXT = re.compile(
    rb"""((?:token|secret|signature|passw|api_?key)[a-z0-9_-]{0,64}"?\s{0,8}[=:]\s{0,8}"?)[^"&,}\s]*""", re.IGNORECASE
)
"""Every repetition has a bound: the text is whatever somebody sent, and must not cost its square."""


def is_secret(name: str) -> bool:
    """Whether a parameter of that name is kept nowhere."""
    return name in SECRET_PARAMETERS or SECRET.search(name) is not None


def kept_params(given: Mapping[str, Any], customer_names: Collection[str]) -> dict[str, Any]:
    """Parameters as a record may keep them. ``customer_names``: those whose whole value names a buyer.

    InvalidEvent for JSON that is nested too deeply to be looked through, or a buyer who is not named by text.
    """
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if is_secret(name):
            continue
        if name in customer_names:
            if isinstance(value, int | float):
                value = str(value)
            if not isinstance(value, str):
                raise InvalidEvent("INVALID_FIELD", "customer", "is text")
            kept[name] = customer_hash(value)
        else:
            kept[without_emails(name)] = clean(value)
    return kept


def clean(value: Any) -> Any:
    """A JSON value without e-mail addresses."""
    if isinstance(value, str):
        return without_emails(value)
    if not isinstance(value, dict | list):
        return value
    try:
        if isinstance(value, list):
            return [clean(item) for item in value]
        return {without_emails(name): clean(item) for name, item in value.items() if not is_secret(name)}
    except RecursionError:
        raise InvalidEvent("INVALID_EVENT", None, "nested too deeply") from None


def kept_request(scope: Scope, body: bytes, customer_names: Collection[str]) -> bytes:
    """Request line and body for a dead letter: ``POST /pb?goal=lead``, an empty line, the body."""
    query = kept_pairs(scope.query_string, customer_names)
    line = f"{scope.method} {without_emails(scope.path)}{'?' if query else ''}{query}".encode(errors="replace")
    return line + (b"\r\n\r\n" + kept_body(body, customer_names) if body else b"")


def kept_pairs(text: str, customer_names: Collection[str]) -> str:
    """A query string or a form. A pair with nothing to hide stays as it is."""
    kept = []
    for pair in text.split("&"):
        name, equals, value = pair.partition("=")
        name_text, value_text = unquote_plus(name, errors="replace"), unquote_plus(value, errors="replace")
        if is_secret(name_text):
            continue
        if name_text in customer_names and value_text.strip():
            pair = f"{name}={customer_hash(value_text)}"
        elif (cleaned := (without_emails(name_text), without_emails(value_text))) != (name_text, value_text):
            pair = quote_plus(cleaned[0]) + equals + quote_plus(cleaned[1])
        kept.append(pair)
    return "&".join(kept)


def kept_body(body: bytes, customer_names: Collection[str]) -> bytes:
    """A form's or a JSON object's bytes; those of anything else, as far as its text can be read."""
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            content = orjson.loads(body)
            kept = kept_params(content, customer_names) if isinstance(content, dict) else clean(content)
            return body if kept == content else orjson.dumps(kept)
        except (orjson.JSONDecodeError, TypeError, InvalidEvent):
            hidden = SECRET_IN_TEXT.sub(rb"\1", body)
            return without_emails(hidden.decode(errors="replace")).encode(errors="replace")
    return kept_pairs(body.decode(errors="replace"), customer_names).encode(errors="replace")
