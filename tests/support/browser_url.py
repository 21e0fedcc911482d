"""Where a browser goes with a ``Location``: the WHATWG URL standard's reading, written without ours at hand."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import idna

SPECIAL = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}
NUMBER = re.compile("0x[0-9a-f]*")
"""A last label like this makes the host an IPv4 address, or none at all."""
FORBIDDEN = set("\x00\t\n\r #/:<>?@[\\]^|%\x7f") | {chr(code) for code in range(0x20)}


class Failure(Exception):
    """The browser goes nowhere."""


def goes_to(location: str, base_scheme: str = "https", base_host: str = "go.example") -> tuple[str, str]:
    """Scheme and host[:port] of the page. Failure for an address that is none."""
    text = location.strip("".join(map(chr, range(0x21))))
    text = text.translate({9: None, 10: None, 13: None})
    scheme, colon, rest = text.partition(":")
    if not (colon and scheme and scheme[0].isascii() and scheme[0].isalpha() and scheme_like(scheme)):
        scheme, rest = base_scheme, text
        if rest[:2].replace("\\", "/") != "//":
            return base_scheme, base_host
    scheme = scheme.lower()
    if scheme not in SPECIAL:
        return scheme, ""
    if scheme == base_scheme and colon and not rest[:2].replace("\\", "/").startswith("/"):
        return base_scheme, base_host  # "https:page" is relative to a base of the same scheme
    rest = rest.lstrip("/\\")
    end = min((at for at in map(rest.find, "/\\?#") if at >= 0), default=len(rest))
    authority = rest[:end]
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        name, port = host.partition("]")[0] + "]", host.partition("]")[2].removeprefix(":")
    else:
        name, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdigit() and int(port) < 65_536):
        raise Failure(location)
    name = domain(name)
    return scheme, name if not port or int(port) == SPECIAL[scheme] else f"{name}:{int(port)}"


def scheme_like(text: str) -> bool:
    return all(c.isascii() and (c.isalnum() or c in "+-.") for c in text)


def domain(text: str) -> str:
    """The host as it is looked up."""
    if text.startswith("["):
        return text.lower()
    decoded = unquote_to_bytes(text.encode()).decode(errors="replace")
    if not decoded:
        raise Failure(text)
    if not decoded.isascii():
        try:
            decoded = idna.encode(decoded, uts46=True).decode()
        except (idna.IDNAError, UnicodeError) as error:
            raise Failure(text) from error
    host = decoded.lower()
    if FORBIDDEN & set(host):
        raise Failure(text)
    last = host.rstrip(".").rpartition(".")[2]
    if last.isdigit() or NUMBER.fullmatch(last) is not None:
        return f"ipv4:{host}"
    return host
