"""Malformed requests without end, from a seed: sizes, encodings, types, Unicode, nulls, headers, and plain noise.

A request is the bytes of it, and whether it is whole: one that is not makes the server wait for more.
"""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote, quote_from_bytes

import orjson
import zstandard

from tests.support.front_door import KEYS, NOW, SESSION

CLICK_ID = KEYS.mint(bytes.fromhex(SESSION.replace("-", "")), NOW, "shop", b"123456")
GET_PATHS = (
    "/c/shoes",
    "/c/hats",
    "/aff_c",
    "/l/anna",
    "/l/anna.svg",
    "/i/shoes.gif",
    "/aff_i",
    "/pb",
    "/aff_lsr",
    "/aff_l",
)
GET_PATHS += ("/aff_goal", "/px", "/px.gif", "/px.html", "/js/accredit.js", "/i", "/healthz", "/docs", "/openapi.json")
POST_PATHS = (
    "/pb",
    "/aff_lsr",
    "/aff_goal",
    "/aff_l",
    "/px",
    "/v1/events",
    "/v1/adjustments",
    "/v1/track",
    "/v1/batch",
)
POST_PATHS += ("/v1/t", "/com.snowplowanalytics.snowplow/tp2")
METHODS = ("GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 40)
NAMES = (
    "partner",
    "offer_id",
    "aff_id",
    "url",
    "sub1",
    "source",
    "promo_code",
    "transaction_id",
    "advertiser_id",
    "order_id",
)
NAMES += (
    "amount",
    "currency",
    "goal",
    "status",
    "customer",
    "coupon",
    "country",
    "a",
    "e",
    "aid",
    "gdpr_consent",
    "gpp",
    "us_privacy",
)
NAMES += (
    "type",
    "session_id",
    "click_id",
    "occurred_at",
    "partner_id",
    "action",
    "conversion_id",
    "ip",
    "token",
    "event",
    "data",
)
PLAUSIBLE = (
    "shop",
    "shoes",
    "anna",
    CLICK_ID,
    SESSION,
    "sale",
    "click",
    "conversion",
    "adjustment",
    "49.90",
    "EUR",
    "lsr",
    "l",
)
PLAUSIBLE += (
    "2026-05-01T10:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "0000-00-00",
    "1e400",
    "-0",
    "NaN",
    "",
    " ",
    "ue",
    "approved",
)
UGLY = (
    "\0",
    "a\0b",
    "\r\n",
    "\x7f",
    "﻿",
    "‮x",
    "𝔘𝔫𝔦",
    "é" * 300,
    "🧨",
    "İ",
    "ß",
    "%",
    "%00",
    "%zz",
    "%ud800",
    "{",
    "{{x}}",
)
UGLY += (
    "../" * 40,
    "//evil.example",
    "https://evil.example\\@shop.example",
    "x" * 5_000,
    "' OR 1=1 --",
    "<script>",
    "${jndi:x}",
)
UGLY += (
    "9" * 400,
    "1" + "0" * 30 + ".5",
    "٣٤",
    "１２",
    "true",
    "null",
    "[]",
    "\t",
    "a=b&c=d",
    ";",
    "ak_000000000000_" + "x" * 43,
)
HEADERS = (
    "cookie",
    "user-agent",
    "referer",
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "x-api-key",
)
HEADERS += (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
    "traceparent",
    "if-none-match",
    "if-match",
)
HEADERS += (
    "origin",
    "sec-gpc",
    "dnt",
    "sec-purpose",
    "content-encoding",
    "content-type",
    "idempotency-key",
    "range",
    "expect",
)
HEADERS += (
    "x-accredit-token",
    "x-accredit-timestamp",
    "x-accredit-signature",
    "te",
    "upgrade",
    "sp-anonymous",
    "access-control-request-method",
)
KINDS = (
    "application/json",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "text/plain",
    "text/html",
    "",
    "a/b;c=",
    "*/*",
)
NOISE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /c/shoes\r\n\r\n",
    b"GET  /c/shoes  HTTP/1.1\r\n\r\n",
    b"GET /pb HTTP/9.9\r\nhost: x\r\n\r\n",
    b"GET http://evil.example/c/shoes?partner=a HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST /pb HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"POST /pb HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\nx",
    b"POST /pb HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde",
    b"POST /pb HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[{}]\n\r\n0\r\n\r\n",
    b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"GET /c/shoes HTTP/1.1\r\n host: x\r\n\r\n",
    b"GET /c/shoes HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET /c/shoes HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    b"GET /c/\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET * HTTP/1.1\r\nhost: x\r\n\r\n",
    b"\r\n\r\n\r\n",
    b"\0" * 200,
)


@cache
def gzip_bomb() -> bytes:
    """70 MB of spaces."""
    return gzip.compress(b" " * (70 << 20), 1)


@cache
def zstd_bomb() -> bytes:
    return zstandard.compress(b" " * (70 << 20), 1)


class Request(NamedTuple):
    """``raw`` as it goes over the wire; ``whole``: an answer is due without more."""

    raw: bytes
    whole: bool
    head: bool = False


class Malformed:
    """An endless source. The same seed gives the same requests."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._kinds: list[tuple[int, Callable[[], Request]]] = [
            (40, self.link),
            (40, self.form_or_json),
            (10, self.compressed),
            (6, self.mutated),
            (4, self.noise),
        ]

    def __iter__(self) -> Iterator[Request]:
        makers = [maker for weight, maker in self._kinds for _ in range(weight)]
        while True:
            yield self._random.choice(makers)()

    def link(self) -> Request:
        """A GET, or another method, with parameters of all sorts."""
        pick = self._random
        method = "GET" if pick.random() < 0.85 else pick.choice(METHODS)
        path = pick.choice(GET_PATHS) if pick.random() < 0.9 else "/" + quote(self.text()[:200], safe="/.%")
        return self.request(method, f"{path}?{self.query()}" if pick.random() < 0.9 else path)

    def form_or_json(self) -> Request:
        """A body that is nearly right, or not at all."""
        pick = self._random
        kind = pick.choice(KINDS)
        content: bytes
        if pick.random() < 0.3:
            content = self.query().encode()
        else:
            made = [self.fields() for _ in range(pick.choice((1, 1, 1, 3, 30)))]
            content = pick.choice((self.json(made[0]), self.json(made), b"\n".join(map(self.json, made))))
        if pick.random() < 0.15:
            content = self.cut(content)
        if pick.random() < 0.02:
            content = pick.choice(
                (b"[" * 30_000, b'{"a":' * 30_000, b"[[]," * 30_000 + b"]", b"\xff" * 70_000, b"," * 9_999)
            )
        method = "POST" if pick.random() < 0.9 else pick.choice(METHODS)
        return self.request(method, pick.choice(POST_PATHS), content, kind)

    def compressed(self) -> Request:
        """A body under a content encoding, whether it is one or not."""
        pick = self._random
        content = self.json([self.fields() for _ in range(3)])
        if pick.random() < 0.01:
            name, packed = pick.choice((("gzip", gzip_bomb()), ("zstd", zstd_bomb())))
            return self.request("POST", "/v1/events", packed, "application/json", [("content-encoding", name)])
        packed = pick.choice((gzip.compress, zstandard.compress, zlib.compress, bytes))(content)
        if pick.random() < 0.5:
            packed = self.cut(packed)
        encoding = pick.choice(("gzip", "zstd", "GZIP", "br", "deflate", "gzip, gzip", "identity", "x-gzip", ""))
        path = pick.choice(POST_PATHS)
        return self.request("POST", path, packed, "application/json", [("content-encoding", encoding)])

    def mutated(self) -> Request:
        """A request with some of its bytes changed, head and all."""
        raw = bytearray(self.link().raw if self._random.random() < 0.5 else self.form_or_json().raw)
        for _ in range(self._random.randint(1, 8)):
            raw[self._random.randrange(min(len(raw), 400))] = self._random.randrange(256)
        return Request(bytes(raw), False)

    def noise(self) -> Request:
        """What is no HTTP, or breaks its rules."""
        pick = self._random
        if pick.random() < 0.3:
            return Request(pick.randbytes(pick.randint(1, 2_000)), False)
        if pick.random() < 0.1:
            return Request(
                b"GET /pb HTTP/1.1\r\nx: " + b"a" * pick.choice((9_000, 70_000, 600_000)) + b"\r\n\r\n", False
            )
        if pick.random() < 0.1:
            return Request(b"GET /pb HTTP/1.1\r\n" + b"x: y\r\n" * pick.choice((90, 101, 5_000)) + b"\r\n", False)
        return Request(pick.choice(NOISE), False)

    def catalog(self) -> Request:
        """A catalog that is looked at and never applied."""
        pick = self._random
        content = pick.choice(
            (
                self.json(self.fields()),
                self.json({"offers": [self.fields()], "partners": self.value(), "contracts": [self.fields()]}),
                b"a: &a [*a]",
                b"offers: [" * 500,
                self.text().encode(errors="replace"),
                self._random.randbytes(300),
            )
        )
        return self.request("PUT", "/v1/catalog?dry_run=true", content, pick.choice(KINDS))

    def request(
        self, method: str, target: str, body: bytes = b"", kind: str = "", headers: list[tuple[str, str]] | None = None
    ) -> Request:
        """One that is whole, with headers of all sorts."""
        pick = self._random
        lines = [f"{method} {target} HTTP/1.1".encode(), b"host: go.example"]
        lines += [
            f"{name}: {value}".encode() for name, value in (headers or []) + ([("content-type", kind)] if kind else [])
        ]
        for _ in range(pick.choice((0, 0, 1, 3, 8))):
            name = pick.choice(HEADERS)
            if name == "content-encoding" and headers:
                continue
            lines.append(name.encode() + b": " + self.header_value())
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"content-length: {len(body)}".encode())
        # of what hyper answers by itself, or takes for another protocol, nothing is due
        odd = any(line.lower().startswith((b"expect", b"upgrade", b"te:")) for line in lines)
        return Request(b"\r\n".join(lines) + b"\r\n\r\n" + body, not odd and method != "CONNECT", method == "HEAD")

    def header_value(self) -> bytes:
        text = (
            self.text() if self._random.random() < 0.7 else self._random.choice(("gzip", "1", "Bearer x", "Basic eDp5"))
        )
        raw = text.encode(errors="replace").replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
        return bytes(byte for byte in raw if byte >= 32 and byte != 127).strip()

    def query(self) -> str:
        pick = self._random
        pairs = []
        for _ in range(pick.choice((0, 1, 2, 4, 8, 8, 150))):
            name = pick.choice(NAMES) if pick.random() < 0.9 else self.text()
            value = self.text()
            raw = value.encode("utf-16-le", "surrogatepass") if pick.random() < 0.03 else value.encode(errors="replace")
            pairs.append(f"{quote(name)}={quote_from_bytes(raw)}")
        return pick.choice(("&", "&", "&", ";", "&&", "?")).join(pairs)

    def text(self) -> str:
        pick = self._random
        if pick.random() < 0.6:
            return pick.choice(PLAUSIBLE)
        if pick.random() < 0.7:
            return pick.choice(UGLY)
        return "".join(chr(pick.choice((pick.randrange(32, 127), pick.randrange(0xD800), 0xFFFD))) for _ in range(12))

    def fields(self) -> dict[str, Any]:
        """An event with some fields right, some of another type, some unknown."""
        pick = self._random
        return {
            (pick.choice(NAMES) if pick.random() < 0.95 else self.text()): self.value()
            for _ in range(pick.randint(0, 14))
        } | ({"type": pick.choice(("click", "impression", "conversion", "adjustment"))} if pick.random() < 0.7 else {})

    def value(self, depth: int = 0) -> Any:
        pick = self._random
        chance = pick.random()
        if chance < 0.7 or depth > 3:
            return self.text()
        if chance < 0.85:
            return pick.choice((None, True, False, 0, -1, 2**53, -(2**63), 1.5, 1e308, -0.0, 10**18))
        if chance < 0.93:
            return [self.value(depth + 1) for _ in range(pick.randint(0, 4))]
        return {self.text(): self.value(depth + 1) for _ in range(pick.randint(0, 4))}

    def json(self, content: Any) -> bytes:
        raw = orjson.dumps(content)
        if self._random.random() < 0.1:
            raw = raw.replace(
                b'"shop"', self._random.choice((b'"\\ud800"', b'"\\u0000"', b"1e999", b"NaN", b'"\xff"', b"01"))
            )
        return raw

    def cut(self, content: bytes) -> bytes:
        """Shorter, longer, or with a byte changed."""
        pick = self._random
        where = pick.randrange(len(content) + 1)
        return pick.choice(
            (content[:where], content + b"\0", content[:where] + b"\xff" + content[where:], content[where:])
        )
