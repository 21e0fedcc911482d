"""Requests behind which nobody has followed a link yet: prefetches, and the previews that chat programs make."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from ingest.http import RequestHeaders, Scope
from schemas.events import TEXT_LIMIT

HINTS: Final = (("sec-purpose", "prefetch"), ("purpose", "pre"), ("x-moz", "prefetch"), ("x-purpose", "preview"))
"""Header and what it contains: Chromium and Firefox now, older browsers, older Firefox, Safari's top sites."""
PREVIEW_AGENT: Final = re.compile(
    r"facebookexternalhit|facebookcatalog|facebot|meta-externalfetcher|slackbot|slack-imgproxy|twitterbot|whatsapp/"
    r"|telegrambot|discordbot|linkedinbot|skypeuripreview|microsoftpreview|bingpreview|redditbot|vkshare|bluesky cardyb"
    r"|mastodon/|iframely|embedly|snap url preview|googlemessages|google-pagerenderer|line-poker|kakaotalk-scrap"
    r"|synapse |zoombot|yahoo link preview|bitlybot|flipboardproxy",
    re.IGNORECASE,
)


@lru_cache(maxsize=4_096)
def is_preview_agent(user_agent: str) -> bool:
    """Whether the agent, whose text is kept, fetches links to show what they lead to."""
    return PREVIEW_AGENT.search(user_agent) is not None


def is_uncounted(scope: Scope, headers: RequestHeaders) -> bool:
    """Whether the request goes on without being recorded: HEAD, prefetch, preview."""
    if scope.method == "HEAD":
        return True
    get = headers.get
    for name, word in HINTS:
        value = get(name)
        if value is not None and word in value.lower():
            return True
    agent = get("user-agent")
    return agent is not None and is_preview_agent(agent[:TEXT_LIMIT])
