"""A conversion link's parameters as public events: what every such link has in common, whatever its path.

``status`` decides what is reported (RULES, adjustments), by itself and never by what this process happens to know:

=========  =====================================================================================
none       a conversion
pending    a conversion
approved   a conversion, and an ``approve`` of it; where the sale is known, its copy is a duplicate
rejected   a ``reject``: the conversion it is about came before, comes later (R36), or never counts
reversed   a ``reverse``, in the same way
=========  =====================================================================================
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.catalog_index import CatalogIndex
from ingest.conversion_config import PostbackConfig, Status
from ingest.originals import kept_params
from ingest.query import split_known
from schemas.errors import InvalidEvent
from schemas.ids import ClickIdKeys
from schemas.times import format_time

DEFAULT_GOAL = "sale"
RESERVED = ("type", "received_at")
"""Ours to say, not a sender's; theirs are kept in ``params`` under ``param_…``."""
NOT_A_BROWSERS = ("occurred_at", "session_id", "ip", "user_agent")
"""What a browser cannot say of itself: kept aside in the same way."""
ACTIONS: Mapping[Status, str] = {"approved": "approve", "rejected": "reject", "reversed": "reverse"}
ADJUSTMENT_FIELDS = ("advertiser_id", "goal", "order_id", "click_id", "occurred_at")


class Browser(NamedTuple):
    """What a request from a visitor's browser says by itself. ``session_id``: the tracking domain's cookie."""

    session_id: str | None
    country: str | None
    address: str | None
    user_agent: str | None


class Reported(NamedTuple):
    """Whose conversion it is, and the public events that the parameters come to."""

    advertiser_id: str
    conversion: dict[str, Any] | None
    adjustment: dict[str, Any] | None


class ConversionReader:
    """Reads parameters under an installation's names. Pure: catalog and time come in."""

    def __init__(self, config: PostbackConfig, keys: ClickIdKeys) -> None:
        self._keys = keys
        self._statuses = config.all_statuses()
        self._aliases = config.all_aliases()
        self._browser_aliases = {name: field for name, field in self._aliases.items() if len(name) > 1}
        self.customer_names = frozenset(name for name, field in self._aliases.items() if field == "customer")

    def read(self, given: Mapping[str, Any], index: CatalogIndex, now: int, browser: Browser | None = None) -> Reported:
        """The events of one request. InvalidEvent names what is wrong in the sender's words."""
        aliases = self._aliases if browser is None else self._browser_aliases
        known, rest = split_known(kept_params(given, self.customer_names), aliases)
        status = self._status(known.pop("status", None), browser)
        aside = RESERVED if browser is None else RESERVED + NOT_A_BROWSERS
        customer = known.pop("customer", None)
        fields: dict[str, Any] = {f"param_{name}" if name in aside else name: value for name, value in rest.items()}
        fields |= {f"param_{name}" if name in aside else name: value for name, value in known.items()}
        fields["type"] = "conversion"
        fields.setdefault("goal", DEFAULT_GOAL)
        fields.setdefault("occurred_at", format_time(now))
        if customer is not None:
            fields.setdefault("customer_id", customer)
        fields["advertiser_id"] = advertiser_id = self._advertiser(fields, index)
        if browser is not None:
            fields |= {"ip": browser.address, "user_agent": browser.user_agent}
            if browser.country is not None:
                fields["country"] = browser.country
            if fields.get("click_id") is None:
                fields["session_id"] = browser.session_id
        if fields.get("order_id") is None and fields.get("click_id") is None:
            fields["order_id"] = stand_in(fields)
        return reported(advertiser_id, fields, status)

    def _status(self, word: Any, browser: Browser | None) -> Status:
        if word is None:
            return "pending"
        status = self._statuses.get(word.strip().lower()) if isinstance(word, str) else None
        if status is None:
            detail = f"{word!r} is none of pending, approved, rejected, reversed, nor another word for one of them"
            raise InvalidEvent("INVALID_FIELD", "status", detail)
        if browser is not None and status != "pending":
            raise InvalidEvent("INVALID_FIELD", "status", f"{word!r} is taken from the advertiser's server only")
        return status

    def _advertiser(self, fields: Mapping[str, Any], index: CatalogIndex) -> str:
        """By its name, else by the click id that we signed for it, else by the offer."""
        named, click_id, offer = fields.get("advertiser_id"), fields.get("click_id"), fields.get("offer_id")
        if click_id is not None:
            if not isinstance(click_id, str):
                raise InvalidEvent("INVALID_FIELD", "transaction_id", "is text")
            of_click = index.tags.get(self._keys.verify(click_id, "transaction_id").advertiser_tag)
        else:
            of_click = None
        entry = index.offers.get(offer) if isinstance(offer, str) else None
        advertiser_id = named or of_click or (entry.offer.advertiser_id if entry is not None else None)
        if isinstance(advertiser_id, str):
            return advertiser_id
        if advertiser_id is not None:
            raise InvalidEvent("INVALID_FIELD", "advertiser_id", "is text")
        if click_id is not None:
            detail = "the transaction id's advertiser is not in the catalog; send advertiser_id"
            raise InvalidEvent("UNKNOWN_ADVERTISER", "advertiser_id", detail)
        raise InvalidEvent("MISSING_FIELD", "transaction_id", "is required; or send advertiser_id and order_id")


def stand_in(fields: Mapping[str, Any]) -> str:
    """An order id for a conversion that brings neither order nor transaction id. InvalidEvent if nothing identifies it.

    By its session: one per session, offer and goal. By its promo code: one per code, buyer, amount and UTC day.
    """
    parts: tuple[Any, ...]
    if isinstance(session := fields.get("session_id"), str):
        parts = ("session", session, fields.get("offer_id"))
    elif isinstance(code := fields.get("promo_code"), str):
        day = str(fields["occurred_at"])[:10]
        parts = ("code", code.casefold(), *(fields.get(name) for name in ("customer_id", "amount", "currency")), day)
    else:
        detail = "is required where there is no transaction_id, no session and no promo_code"
        raise InvalidEvent("MISSING_FIELD", "order_id", detail)
    return "auto-" + hashlib.blake2b(repr(parts).encode(errors="replace"), digest_size=12).hexdigest()


def reported(advertiser_id: str, fields: dict[str, Any], status: Status) -> Reported:
    """The events that a status makes of a conversion's fields."""
    action = ACTIONS.get(status)
    if action is None:
        return Reported(advertiser_id, fields, None)
    adjustment = {name: fields.get(name) for name in ADJUSTMENT_FIELDS} | {"type": "adjustment", "action": action}
    if action == "approve":
        return Reported(advertiser_id, fields, adjustment)
    return Reported(advertiser_id, None, {**fields, **adjustment})
