"""What a user agent says: device, operating system, browser, and whether a person is behind it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ingest.invalid import invalid_reason
from ingest.query import clean

if TYPE_CHECKING:
    from ua_parser import Parser

AGENTS_KEPT = 16_384
TOOLS = ("Python-urllib/", "Java/")
"""Like curl, which ua-parser takes for no spider: partners test their links with them."""
NONE_SAID = "Other"
"""ua-parser's word for what it does not know."""
PHONE_SYSTEMS = frozenset(
    {"iOS", "Android", "Windows Phone", "BlackBerry OS", "KaiOS", "Tizen", "Firefox OS", "HarmonyOS"}
)
DESKTOP_SYSTEMS = frozenset({"Windows", "Mac OS X", "Linux", "Ubuntu", "Fedora", "Debian", "Chrome OS", "FreeBSD"})
TABLET_WORDS = ("ipad", "tablet", "kindle", "silk/", "playbook")
TV_WORDS = ("smart-tv", "smarttv", "appletv", "apple tv", "googletv", "android tv", "hbbtv", "web0s", "roku")
CONSOLE_WORDS = ("playstation", "xbox", "nintendo")


class Agent(NamedTuple):
    """``text`` is what was said, as a record may keep it; ``device`` is desktop, mobile, tablet, tv, console or other;
    ``os`` and ``browser`` are families.
    """

    text: str | None
    device: str
    os: str | None
    browser: str | None
    invalid: str | None


NO_AGENT = Agent(None, "other", None, None, None)


class Agents:
    """Reads user agents, the frequent ones once. ``of`` takes what a header says, cut to ``TEXT_LIMIT``: it is kept."""

    def __init__(self) -> None:
        self._parser: Parser | None = None
        self.of = lru_cache(maxsize=AGENTS_KEPT)(self._read)

    def warm(self) -> None:
        """Load the expressions, some 40 MB and a fifth of a second, before the first visitor waits for it."""
        self._loaded()

    def _loaded(self) -> Parser:
        if self._parser is None:
            from ua_parser import Parser
            from ua_parser.loaders import load_lazy_builtins
            from ua_parser.regex import Resolver

            self._parser = Parser(Resolver(load_lazy_builtins()))
        return self._parser

    def _read(self, said: str) -> Agent:
        text = clean(said)
        if text is None:
            return NO_AGENT
        invalid = invalid_reason(text)
        found = self._loaded().parse(text)
        device = found.device.family if found.device is not None else None
        if device == "Spider" and not text.startswith(TOOLS):
            invalid = "bot"
        os = found.os.family if found.os is not None else None
        browser = found.user_agent.family if found.user_agent is not None else None
        return Agent(text, kind_of(text.lower(), device, os), known(os), known(browser), invalid)


def known(family: str | None) -> str | None:
    return None if family == NONE_SAID else family


def kind_of(text: str, device: str | None, os: str | None) -> str:
    """The kind of device of a user agent in lower case, with ua-parser's families."""
    if any(word in text for word in TV_WORDS) or " aft" in text:  # AFT…: Amazon's Fire TV models
        return "tv"
    if any(word in text for word in CONSOLE_WORDS):
        return "console"
    if any(word in text for word in TABLET_WORDS) or (os == "Android" and "mobile" not in text):
        return "tablet"
    if os in PHONE_SYSTEMS or device == "Generic Smartphone" or "mobile" in text:
        return "mobile"
    return "desktop" if os in DESKTOP_SYSTEMS else "other"
