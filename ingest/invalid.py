"""Why a touch does not count, as far as the request tells. Flagged and kept, never dropped (RULES 2, details)."""

from __future__ import annotations

import re
from functools import lru_cache

BOT_AGENT = re.compile(
    r"bot\b|bot/|bots\b|crawler|crawling|spider|slurp|facebookexternalhit|bingpreview|mediapartners-google"
    r"|google-inspectiontool|headlesschrome|phantomjs",
    re.IGNORECASE,
)
"""Agents that say that no person is behind them. Tools such as curl are not here: partners test with them."""


@lru_cache(maxsize=4_096)
def invalid_reason(user_agent: str | None) -> str | None:
    """``bot`` for a user agent that names itself one, else None."""
    if user_agent is not None and BOT_AGENT.search(user_agent) is not None:
        return "bot"
    return None
