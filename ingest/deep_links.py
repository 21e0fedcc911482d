"""Deep links: a partner's own choice of page (``url=``) on the hosts that the offer allows. Never an open redirect."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ingest.landing import LandingUrl
from schemas.urls import DeepLinkHosts


class DeepLinks:
    """One offer's deep links. Built anew from scheme, host and rest, so that nothing of a doubtful spelling is left.

    What the landing page is told in its query (``tid={transaction_id}``) a deep link is told too, unless it has a
    parameter of that name. Macros in the deep link itself are filled in.
    """

    __slots__ = ("_hosts", "_told")

    def __init__(self, domains: Collection[str], told: Sequence[str]) -> None:
        """``domains``: as ``schemas.urls.read_domain`` returns them; ``told``: as ``LandingUrl.told``."""
        self._hosts = DeepLinkHosts(domains)
        self._told = [(pair.partition("=")[0], pair) for pair in told]

    def page(self, text: str) -> LandingUrl | None:
        """The page that ``text`` names; None where it may not go, and the landing page is the answer."""
        url = self._hosts.read(text.strip(" "))
        if url is None:
            return None
        rest, mark, fragment = url.rest.partition("#")
        query = rest.partition("?")[2]
        names = {pair.partition("=")[0] for pair in query.split("&")}
        more = "&".join(pair for name, pair in self._told if name not in names)
        if more:
            rest += ("&" if query else "" if rest.endswith("?") else "?") + more
        return LandingUrl(url.origin + rest + mark + fragment, foreign=True)
