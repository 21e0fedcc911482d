"""What a visitor sees who cannot be sent on: a small page; a program gets a problem document."""

from __future__ import annotations

from html import escape

from ingest.errors import Refusal
from ingest.http import NO_STORE, Answer, Scope, problem

STYLE = (
    ":root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto 0;"
    "padding:0 1.25rem}h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem}p{margin:0}"
)
PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
    "<title>{title}</title><style>" + STYLE.replace("{", "{{").replace("}", "}}") + "</style></head>"
    "<body><main><h1>{title}</h1><p>{text}</p></main></body></html>\n"
)
HEADERS = [
    ("content-type", "text/html; charset=utf-8"),
    NO_STORE,
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
     "frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
]  # fmt: skip
WORDS = {
    "UNKNOWN_OFFER": ("This link leads nowhere", "There is no such offer here. Perhaps the link was cut off."),
    "UNKNOWN_LINK": ("This link leads nowhere", "There is no such link here. Perhaps it was mistyped or cut off."),
    "LINK_NOT_ACTIVE": ("This link has ended", "Whoever gave it to you may have a newer one."),
    "NO_CATALOG": ("This link does not work yet", "Please try it again in a little while."),
    "OFFER_INACTIVE": ("This offer is not available", "It has ended, or is paused at the moment."),
}
"""Reason → title and sentence for a person."""


def is_browser(scope: Scope) -> bool:
    """Whether a person waits: browsers ask for ``text/html`` when a link is followed, programs seldom do."""
    return "text/html" in (scope.headers.get("accept") or "")


def sorry(scope: Scope, refusal: Refusal) -> Answer:
    """A page for a person, else the refusal as a problem document."""
    if not is_browser(scope):
        return problem(refusal)
    title, text = WORDS.get(refusal.reason, ("This link does not work", refusal.detail))
    body = PAGE.format(title=escape(title), text=escape(text)).encode()
    return Answer(refusal.status, [*HEADERS, *refusal.headers], body)
