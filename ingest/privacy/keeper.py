"""What is kept of an event: addresses shortened, names of persons dropped, what identifies sealed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from ingest.edge.anomalies import REVIEW, anomalies
from ingest.privacy.addresses import Addresses
from ingest.privacy.config import PrivacyConfig
from ingest.privacy.key_file import LiveSealer
from ingest.privacy.personal import OURS, referrer_without_personal, without_personal
from schemas.customer import as_customer
from schemas.records import NO_PARAMS, Adjustment, Click, Conversion, Event
from schemas.sealing import SEALED, Sealer

if TYPE_CHECKING:
    from ingest.catalog_index import CatalogIndex

PERSONAL_FROM: Final = Click._fields.index("referrer")
"""Here referrer, user agent and address stand, side by side."""
NOTHING: Final = (None, None, None)


class Keeper:
    """Looks at every event of every door, last of all. One per process."""

    def __init__(
        self, config: PrivacyConfig, live: LiveSealer | None, too_fast_ms: int, country_of: Callable[[str], str | None]
    ) -> None:
        """``live`` None: nothing is sealed, and everything else is done."""
        self._live = live
        self._addresses = Addresses(config, live.now if live is not None else None)
        self._names = config.personal_params
        self._clear = config.clear_params
        self._too_fast_ms = too_fast_ms
        self._country_of = country_of

    @property
    def sealer(self) -> Sealer | None:
        """With the keys as they are now."""
        return None if self._live is None else self._live.now

    def kept(self, event: Event, catalog_at: Callable[[int], CatalogIndex]) -> Event:
        """The event as it goes into the log. Customers who are partners under the catalog that will decide (RULES,
        SELF_REFERRAL) stay as the catalog has them; all others get a pseudonym.
        """
        if self._live is not None:
            self._live.look(event.received_at)
        if isinstance(event, Click):
            return self._touch(event)
        if isinstance(event, Conversion):
            buyers = catalog_at(event.received_at).buyers if event.customer_id is not None else frozenset()
            return self._conversion(event, buyers)
        return self._adjustment(event)

    def params(self, params: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Of an event's parameters those that stay in the clear, and those that are sealed."""
        kept = without_personal(params, self._names)
        if self._live is None:
            return kept, {}
        clear = {name: value for name, value in kept.items() if self._is_clear(name)}
        return clear, {name: value for name, value in kept.items() if name not in clear}

    def visit(
        self, session_id: str, personal: tuple[str | None, str | None, str | None], secret: Mapping[str, str]
    ) -> tuple[tuple[str | None, str | None, str | None], str | None]:
        """What a touch keeps of address, agent and referrer, and what is sealed of it.

        The address is shortened already; ``secret`` as from ``params``.
        """
        address, agent, referrer = personal
        if referrer is not None:
            referrer = referrer_without_personal(referrer, self._names)
        if self._live is None:
            return (address, agent, referrer), None
        content: dict[str, Any] = {}
        if address is not None:
            content["ip"] = address
        if agent is not None:
            content["user_agent"] = agent
        if referrer is not None:
            content["referrer"] = referrer
        return NOTHING, sealed(self._live.now, session_id, content, secret)

    def _touch(self, touch: Click) -> Click:
        if touch.ip is None and touch.user_agent is None and touch.referrer is None and not touch.params:
            return touch
        ip = None if touch.ip is None else self._addresses.kept(touch.ip, touch.received_at)
        params, secret = self.params(touch.params)
        (ip, agent, referrer), text = self.visit(touch.session_id, (ip, touch.user_agent, touch.referrer), secret)
        if text is not None:
            params[SEALED] = text
        return Click._make((*touch[:PERSONAL_FROM], referrer, agent, ip, params, touch.door))

    def _conversion(self, conversion: Conversion, buyers: Collection[str]) -> Conversion:
        odd = anomalies(conversion, self._too_fast_ms, self._country_of)
        ip = None if conversion.ip is None else self._addresses.kept(conversion.ip, conversion.received_at)
        agent, customer = conversion.user_agent, conversion.customer_id
        params, others = self.params(conversion.params)
        if odd:
            params[REVIEW] = ",".join(odd)
        sealer = self.sealer
        if sealer is not None:
            secret: dict[str, Any] = {
                name: text for name, text in (("ip", ip), ("user_agent", agent)) if text is not None
            }
            ip = agent = None
            if customer is not None and customer not in buyers:
                customer = as_customer(customer)
                if not sealer.is_pseudonym(customer):
                    secret["customer_id"] = customer
                customer = sealer.pseudonym(customer)
                if customer is None:  # forgotten: kept nowhere, not even sealed
                    secret.pop("customer_id", None)
            if (text := sealed(sealer, conversion.session_id, secret, others)) is not None:
                params[SEALED] = text
        return conversion._replace(ip=ip, user_agent=agent, customer_id=customer, params=params)

    def _adjustment(self, adjustment: Adjustment) -> Adjustment:
        """It belongs to no session, so what cannot be in the clear is not kept at all."""
        if not adjustment.params:
            return adjustment
        params, _ = self.params(adjustment.params)
        return adjustment._replace(params=params or NO_PARAMS)

    def _is_clear(self, name: str) -> bool:
        return name in self._clear or name.startswith(OURS)


def sealed(sealer: Sealer, session_id: str, content: dict[str, Any], params: Mapping[str, str]) -> str | None:
    """The content, and the params with it, as one text; None when nothing is there, or the session was forgotten."""
    if params:
        content["params"] = params
    return sealer.seal(session_id, content) if content else None
