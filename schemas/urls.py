"""Web addresses, read so strictly that no browser can read them otherwise.

RFC 3986 and the WHATWG URL standard (what browsers do) disagree about backslashes, user names, white space, control
characters and more. An address on which they could disagree is none here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

HOST_LIMIT = 253
URL_LIMIT = 2_048
"""Characters of an address; longer ones are cut off somewhere on their way by old software."""
DEFAULT_PORTS = {"http": 80, "https": 443}
WEB_URL = re.compile(
    r"(https?)://([^\x00-\x20\x7f/?#\\@:%\[\]{}<>\"'`|^]{1,253})(?::([0-9]{1,5}))?([/?#][^\x00-\x1f\x7f]*)?",
    re.IGNORECASE | re.ASCII,
)
HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
IPV4 = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})(?:\.|$)){4}")
NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""A browser takes a host that ends so for an IPv4 address in one of its many spellings."""
APP_URL = re.compile(r"([a-z][a-z0-9+.-]*):[^\x00-\x20\x7f{}]", re.IGNORECASE | re.ASCII)
UNSAFE_SCHEMES = frozenset({"javascript", "data", "vbscript", "blob", "file", "filesystem", "about", "view-source"})


class WebUrl(NamedTuple):
    """``scheme`` is http or https, ``host`` lower-case ASCII (A-labels), ``port`` None the scheme's own.

    ``rest``: path, query and fragment as they were written; empty, or it begins with ``/``, ``?`` or ``#``.
    """

    scheme: str
    host: str
    port: int | None
    rest: str

    @property
    def authority(self) -> str:
        """``host`` or ``host:port``."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """``https://host``, as a browser would write it."""
        return f"{self.scheme}://{self.authority}"


def read_web_url(text: str) -> WebUrl | None:
    """An absolute http or https address; None for anything else, and for what could be read in two ways."""
    if len(text) > URL_LIMIT:
        return None
    found = WEB_URL.fullmatch(text)
    if found is None:
        return None
    host = ascii_host(found[2])
    if host is None:
        return None
    scheme = found[1].lower()
    port = None if found[3] is None else int(found[3])
    if port is not None and not 0 < port < 65_536:
        return None
    return WebUrl(scheme, host, None if port == DEFAULT_PORTS[scheme] else port, found[4] or "")


def ascii_host(text: str) -> str | None:
    """A host name as browsers send it: lower case, international names as ``xn--…`` (UTS 46). None if it is none."""
    host = text.lower()
    if not text.isascii():
        import idna  # its tables take milliseconds to load, and most hosts are ASCII

        try:
            host = idna.encode(text, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return None
    if len(host) > HOST_LIMIT or HOST.fullmatch(host) is None:
        return None
    if NUMERIC_END.fullmatch(host) is not None and not is_ipv4(host):
        return None
    return host


def is_ipv4(host: str) -> bool:
    """``192.0.2.1``, in the one spelling that nobody reads otherwise."""
    return IPV4.fullmatch(host) is not None and all(int(part) < 256 for part in host.split("."))


def read_domain(text: str) -> str:
    """An entry of ``deep_link_domains``: ``shop.example`` is that host alone, ``*.shop.example`` any host below it.

    ``shop.example:8443`` names a port; without one the scheme's own is meant. Returned in lower-case ASCII. ValueError
    names what is wrong.
    """
    below = text.startswith("*.")
    name, colon, port = text.removeprefix("*.").partition(":")
    host = ascii_host(name)
    if host is None or (colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536)):
        raise ValueError(f"{text!r} is not a host like shop.example or *.shop.example (no https://, no path)")
    if below and ("." not in host or is_ipv4(host)):
        raise ValueError(f"{text!r} would allow a whole top-level domain; name the shop's own, like *.shop.example")
    own = not colon or int(port) in DEFAULT_PORTS.values()
    return ("*." if below else "") + host + ("" if own else f":{int(port)}")


def check_page_url(text: str) -> str:
    """A landing or fallback page of the catalog: a web address, or an app's (``market://…``), in which macros stand.

    Its scheme and host are the operator's own words: a macro there would let any visitor choose where to go.
    ValueError names what is wrong.
    """
    url = text.strip()
    found = APP_URL.match(url)
    if found is None or any(character < " " or character == "\x7f" for character in url):
        raise ValueError(f"{shown(url)} is not an address like https://shop.example/page?tid={{transaction_id}}")
    scheme = found[1].lower()
    if scheme in UNSAFE_SCHEMES:
        raise ValueError(f"a visitor cannot be sent to {scheme}: addresses")
    if scheme not in DEFAULT_PORTS:
        return url
    read = read_web_url(url)
    if read is None:
        detail = "its host must be a plain name, without a macro, a user name or a backslash"
        raise ValueError(f"{shown(url)} is not an address that every browser reads alike: {detail}")
    return url if url.isascii() else read.origin + read.rest


def shown(url: str) -> str:
    return repr(url if len(url) <= 80 else url[:80] + "…")


class DeepLinkHosts:
    """An offer's ``deep_link_domains`` (as ``read_domain`` returns them), made ready to be asked."""

    __slots__ = ("_below", "_exact")

    def __init__(self, domains: Collection[str]) -> None:
        self._exact = frozenset(domain for domain in domains if not domain.startswith("*."))
        self._below = tuple(domain[1:] for domain in domains if domain.startswith("*."))

    def __bool__(self) -> bool:
        return bool(self._exact or self._below)

    def read(self, text: str) -> WebUrl | None:
        """The address, if it is one and on an allowed host and port."""
        url = read_web_url(text)
        if url is None:
            return None
        authority = url.authority
        return url if authority in self._exact or authority.endswith(self._below) else None
