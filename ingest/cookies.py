"""The session cookie: first party on the tracking domain, its value is the session's UUID text (DESIGN 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from ingest.settings import IngestSettings

UUID_VALUE: Final = r'"?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"?(?=\s*(?:;|$))'
LOOPBACK: Final = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)
MAX_AGE_LIMIT_S: Final = 400 * 86_400
"""Browsers keep no cookie for longer (RFC 6265bis)."""


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host, with its port, is a loopback name."""
    return LOOPBACK.fullmatch(host) is not None


class SessionCookie:
    """Reads and writes the cookie as the settings say."""

    def __init__(self, settings: IngestSettings) -> None:
        config = settings.config.links.cookie
        self._pattern = re.compile(rf"(?:^|;\s*){re.escape(config.name)}\s*=\s*{UUID_VALUE}", re.IGNORECASE)
        self._lax = config.same_site == "lax"
        self._start = f"{config.name}="

    def read(self, headers: Sequence[str]) -> str | None:
        """The session in a request's ``Cookie`` headers, lower case; None when absent or not a UUID."""
        for header in headers:
            found = self._pattern.search(header)
            if found is not None:
                return found[1].lower()
        return None

    def write(self, session_id: str, scheme: str, host: str, max_age_s: int) -> str:
        """``Set-Cookie`` for the session, for as long as a touch of it can be credited (``CatalogIndex.cookie_age_s``).

        ``Secure; SameSite=None``, because pixels on shop pages need it. A browser keeps no Secure cookie that came over
        plain http, so over http to a loopback name (the demo) it is ``Lax``. The name decides, not the peer's address:
        behind a TLS proxy on the same machine the visitor's host is public. Where the setting says ``lax``, it is
        ``Secure`` if the request came over https.
        """
        if self._lax:
            end = "Lax; Secure" if scheme == "https" else "Lax"
        else:
            end = "Lax" if scheme == "http" and is_loopback(host) else "None; Secure"
        return f"{self._start}{session_id}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite={end}"
