"""The two sides of the story, over real HTTP: a visitor's browser that clicks, a shop's server that reports sales."""

from __future__ import annotations

import json
from email.message import Message
from http.client import HTTPMessage
from http.cookiejar import CookieJar
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, ProxyHandler, Request, build_opener

from console.errors import PageUnreachable, StoryFailed

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
SESSION_COOKIE = "accredit_sid"
TIMEOUT_S = 30.0


class StayHere(HTTPRedirectHandler):
    """Redirects are looked at, not followed: the shop of the story is not on this machine."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """No request."""
        return None


class Visitor:
    """A person with a browser: it keeps its cookies, and so its session."""

    def __init__(self, ingest: str) -> None:
        self._ingest = ingest
        self._cookies = CookieJar()
        self._open = build_opener(ProxyHandler({}), HTTPCookieProcessor(self._cookies), StayHere()).open

    def click(self, offer: str, partner: str, agent: str = BROWSER) -> str:
        """Follow a tracking link. Returns the transaction id that the landing page is given."""
        url = f"{self._ingest}/c/{offer}?{urlencode({'partner': partner})}"
        status, headers, body = answer(self._open, Request(url, headers={"User-Agent": agent}))
        location = headers.get("Location") or ""
        found = parse_qs(urlsplit(location).query).get("tid")
        if status != 302 or not found:
            raise StoryFailed(
                f"{url} answered {status} {location} {body[:300]!r}, not a redirect with a transaction id"
            )
        return found[0]

    @property
    def session_id(self) -> str:
        """The session in the cookie that the first click set."""
        for cookie in self._cookies:
            if cookie.name == SESSION_COOKIE and cookie.value:
                return cookie.value
        raise StoryFailed(f"no redirect has set the cookie {SESSION_COOKIE}")


class Shop:
    """The advertiser's server."""

    def __init__(self, ingest: str) -> None:
        self._ingest = ingest
        self._open = build_opener(ProxyHandler({}), StayHere()).open

    def report(self, **sale: str) -> dict[str, Any]:
        """Send a postback, as shops do: everything in the query."""
        url = f"{self._ingest}/pb?{urlencode(sale)}"
        status, _, body = answer(self._open, Request(url))
        if status != 200:
            raise StoryFailed(f"{url} answered {status}: {body[:300]!r}")
        return dict(json.loads(body))

    def send_events(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Deliver events in bulk."""
        body = "".join(json.dumps(event) + "\n" for event in events).encode()
        request = Request(f"{self._ingest}/v1/events", body, {"Content-Type": "application/x-ndjson"})
        status, _, answered = answer(self._open, request)
        if status != 202:
            raise StoryFailed(f"/v1/events answered {status}: {answered[:300]!r}")
        return dict(json.loads(answered))


def answer(opened: Any, request: Request) -> tuple[int, Message[str, str], bytes]:
    """Status, headers and body, whatever the status. PageUnreachable if nothing answers."""
    try:
        with opened(request, timeout=TIMEOUT_S) as found:
            return found.status, found.headers, found.read()
    except HTTPError as error:
        return error.code, error.headers, error.read()
    except OSError as error:
        raise PageUnreachable(f"{request.full_url} does not answer: {error}; see logs/ingest.log.") from error
