"""One visitor's request, looked at once, for every door that takes touches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ingest.edge.agents import NO_AGENT, Agents
from ingest.edge.config import EdgeConfig
from ingest.edge.country import Countries
from ingest.edge.networks import Networks, datacenters, packed, read_networks
from ingest.edge.repeats import Rate, Recent
from ingest.edge.watched import Watched
from ingest.http import RequestHeaders, Scope, address_of
from ingest.privacy.addresses import Addresses
from ingest.privacy.config import PrivacyConfig
from ingest.privacy.consent import Policy
from ingest.privacy.keeper import Keeper
from ingest.privacy.key_file import FILE, LiveSealer
from schemas.events import TEXT_LIMIT
from schemas.times import DAY

FLAGS: Final = "accredit_flags"
"""The name in a record's ``params`` under which its flags stand, with commas."""
PLACES_KEPT: Final = 65_536
LOOK_EVERY_MS: Final = 1_000
PRIVATE: Final = Networks(
    [
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    ]
)
"""Here a proxy or a test sits in front of everyone: counting its touches would say nothing."""


class Visitor:
    """What a record may say of a visitor. ``address`` is what may be kept of it, None for nothing.

    ``invalid``: why the touch does not count. ``may_identify``: whether the visitor's choice (GPC, DNT, TCF, GPP, as
    the policy reads them) lets us set a cookie and join this touch to a session; where it does not, the door mints a
    session for this touch alone, and the click id in the landing URL still lets a conversion be credited.
    ``flags``: what is odd and yet counts. ``source`` stands for the whole address within this process, 0 for none.
    """

    __slots__ = (
        "address",
        "browser",
        "country",
        "device",
        "flags",
        "invalid",
        "may_identify",
        "os",
        "source",
        "user_agent",
    )

    def __init__(
        self,
        address: str | None,
        country: str | None,
        device: str | None,
        os: str | None,
        browser: str | None,
        user_agent: str | None,
        invalid: str | None,
        may_identify: bool = True,
        flags: tuple[str, ...] = (),
        source: int = 0,
    ) -> None:
        self.address = address
        self.country = country
        self.device = device
        self.os = os
        self.browser = browser
        self.user_agent = user_agent
        self.invalid = invalid
        self.may_identify = may_identify
        self.flags = flags
        self.source = source


class Place(NamedTuple):
    """What an address says."""

    kept: str | None
    country: str | None
    datacenter: bool
    source: int


class Edge:
    """Looks at requests. One per process: it counts, and keeps what it has looked up."""

    def __init__(
        self,
        config: EdgeConfig | None = None,
        privacy: PrivacyConfig | None = None,
        live: LiveSealer | None = None,
    ) -> None:
        """``live`` None: nothing is sealed. ConfigInvalid names a file that cannot be used."""
        config = EdgeConfig() if config is None else config
        privacy = PrivacyConfig() if privacy is None else privacy
        self.agents = Agents()
        self._live = live
        self._datacenter_is = config.datacenters
        self._countries = Countries(config.country_file)
        file = config.datacenters_file
        self._watched_networks = None if file is None else Watched(file, read_networks)
        self._networks = datacenters() if self._watched_networks is None else self._watched_networks.content
        self._addresses = Addresses(privacy, live.now if live is not None else None)
        self._policy = Policy(privacy)
        self._places: dict[str, Place] = {}
        self._look_at = 0
        self._day = 0
        self._double_clicks = Recent(int(config.double_click_s * 1_000), config.tracked)
        self._session_rate = Rate(config.session_flood, config.tracked)
        self._address_rate = Rate(config.address_flood, config.tracked)
        self.keeper = Keeper(privacy, live, int(config.too_fast_s * 1_000), self._countries.of)

    def visitor(
        self, scope: Scope, now: int, params: Mapping[str, str], headers: RequestHeaders | None = None
    ) -> Visitor:
        """``params``: the request's own parameters by their own names (consent strings come in them).

        ``headers``: the scope's, where they were taken from it already.
        """
        if now >= self._look_at:
            self._look(now)
        if headers is None:
            headers = scope.headers
        address = address_of(scope)
        place = self._places.get(address)
        if place is None:
            place = self._look_up(address, now)
        said = headers.get("user-agent")
        text, device, os, browser, invalid = NO_AGENT if said is None else self.agents.of(said[:TEXT_LIMIT])
        flags: tuple[str, ...] = () if text is not None else ("no_agent",)
        if place.datacenter:
            if self._datacenter_is == "invalid":
                invalid = invalid or "datacenter"
            else:
                flags = (*flags, "datacenter")
        action, signal = self._policy.ruling(headers, params, place.country)
        if action == "allow":
            return Visitor(place.kept, place.country, device, os, browser, text, invalid, True, flags, place.source)
        flags = (*flags, f"privacy_{signal or 'none'}")
        kept, text = (place.kept, text) if action == "no_cookie" else (None, None)
        return Visitor(kept, place.country, device, os, browser, text, invalid, False, flags, place.source)

    def marks(
        self, visitor: Visitor, session_id: str, offer_id: str, partner_id: str, now: int, kind: str = "click"
    ) -> tuple[str | None, tuple[str, ...]]:
        """Why a touch does not count, if so, and its flags: the visitor's own and those of repetition, double clicks
        and floods. Once per touch: it counts.

        A double click is flagged and stays valid: one conversion has one credit however often was clicked (RULES R06).
        """
        invalid, flags = visitor.invalid, visitor.flags
        level = 0 if not visitor.source else self._address_rate.level(visitor.source, now)
        if visitor.may_identify:
            level = max(level, self._session_rate.level(session_id, now))
            if kind == "click" and self._double_clicks.repeats((session_id, offer_id, partner_id), now):
                flags = (*flags, "double_click")
        if level:
            flags = (*flags, "flood")
            if level > 1 and invalid is None:
                invalid = "flood"
        return invalid, flags

    def may_join(self, session_id: str) -> bool:
        """Whether a session from a cookie may be used: False when it was erased; then mint a new one."""
        return self._live is None or self._live.now.knows(session_id)

    def _look(self, now: int) -> None:
        """Take up files that were replaced, and forget what was looked up in the old ones, and yesterday."""
        self._look_at = now + LOOK_EVERY_MS
        if self._live is not None:
            self._live.look(now)
        changed = self._countries.look(now)
        if self._watched_networks is not None and self._watched_networks.look(now):
            self._networks, changed = self._watched_networks.content, True
        if changed or now // DAY != self._day:
            self._day = now // DAY
            self._places.clear()

    def _look_up(self, address: str, now: int) -> Place:
        raw = packed(address)
        if raw is None:
            return Place(None, None, False, 0)
        inside = raw in PRIVATE
        datacenter = self._datacenter_is != "off" and raw in self._networks
        place = Place(
            self._addresses.kept(address, now), self._countries.of(address), datacenter, 0 if inside else hash(raw)
        )
        if len(self._places) >= PLACES_KEPT:
            self._places.clear()
        self._places[address] = place
        return place


def edge_of(edge: EdgeConfig, privacy: PrivacyConfig, data_dir: Path) -> Edge:
    """The edge of an installation, with the keys in its folder. ConfigInvalid."""
    return Edge(edge, privacy, LiveSealer(data_dir / FILE) if privacy.seal else None)
