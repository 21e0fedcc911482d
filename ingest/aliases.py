"""Names that senders use for our fields: the one table for tracking links, the one for postbacks.

An installation may bring its own through the settings. A name that is in no table is kept in ``params``.
"""

from __future__ import annotations

from collections.abc import Mapping

CLICK_FIELDS = ("partner_id", "source", "sub1", "sub2", "sub3", "sub4", "sub5", "promo_code")
CLICK_TARGETS = (*CLICK_FIELDS, "offer_id", "url", "aff_click_id")
"""What a name on a link may stand for: a field of the click, the offer (on ``/aff_c``), the deep link, or the partner's
own id of the click, which is kept in ``params``."""
SUBS = range(1, 6)
CONVERSION_FIELDS = (
    "click_id",
    "advertiser_id",
    "goal",
    "order_id",
    "amount",
    "currency",
    "promo_code",
    "customer_id",
    "country",
    "program_id",
    "offer_id",
    "session_id",
    "adv1",
    "adv2",
    "adv3",
    "adv4",
    "adv5",
    "occurred_at",
    "ip",
    "user_agent",
    "customer",
    "status",
)
"""What a conversion link may set: an event's fields, ``customer`` (becomes ``customer_id``, hashed), ``status``."""

CLICK_ALIASES: Mapping[str, str] = {
    **{name: name for name in CLICK_TARGETS},
    # ours, short
    "partner": "partner_id",
    "pid": "partner_id",
    "offer": "offer_id",
    "coupon": "promo_code",
    # TUNE (HasOffers); offer_id, source, url and aff_click_id are named as here
    "aff_id": "partner_id",
    "affiliate_id": "partner_id",
    "aff_sub": "sub1",
    **{f"aff_sub{n}": f"sub{n}" for n in SUBS},
    # Everflow; sub1…sub5 and url are named as here
    "affid": "partner_id",
    "oid": "offer_id",
    "source_id": "source",
    # CAKE; its creative (c) is kept in params
    "a": "partner_id",
    **{f"s{n}": f"sub{n}" for n in SUBS},
    "ckmrdr": "url",
    # Keitaro
    **{f"sub_id_{n}": f"sub{n}" for n in SUBS},
    "sub_id": "sub1",
    "external_id": "aff_click_id",
    # Voluum
    **{f"var{n}": f"sub{n}" for n in SUBS},
    "externalid": "aff_click_id",
    "external-id": "aff_click_id",
}
"""Everything else (``utm_…``, ``gclid``, ``fbclid``, ``msclkid``, ``ttclid``, …) is kept in ``params`` by its name."""

MACROS: Mapping[str, str] = {
    **{name: name for name in ("transaction_id", "offer_id", *CLICK_FIELDS)},
    **{name: name for name in ("country", "device", "os", "browser", "timestamp")},
    "click_id": "transaction_id",
    "affiliate_id": "partner_id",
    "aff_id": "partner_id",
    "country_code": "country",
    "aff_sub": "sub1",
    **{f"aff_sub{n}": f"sub{n}" for n in SUBS},
}
"""Macros of landing pages: TUNE's names, too. Any other name is that of a parameter on the link, like ``{gclid}``."""

CONVERSION_ALIASES: Mapping[str, str] = {
    **{name: name for name in CONVERSION_FIELDS},
    "advertiser": "advertiser_id",
    "coupon": "promo_code",
    "email": "customer",
    "offer": "offer_id",
    "program": "program_id",
    "transaction_id": "click_id",
    # TUNE
    "adv_id": "advertiser_id",
    "adv_sub": "adv1",
    "adv_sub1": "adv1",
    "adv_sub2": "adv2",
    "adv_sub3": "adv3",
    "adv_sub4": "adv4",
    "adv_sub5": "adv5",
    "goal_id": "goal",
    "goal_name": "goal",
    "session_ip": "ip",
    # Everflow
    "adv_event_id": "goal",
    "coupon_code": "promo_code",
    "event_id": "goal",
    "oid": "offer_id",
    # Keitaro
    "revenue": "amount",
    "sub_id_1": "adv1",
    "sub_id_2": "adv2",
    "sub_id_3": "adv3",
    "sub_id_4": "adv4",
    "sub_id_5": "adv5",
    "subid": "click_id",
    "tid": "order_id",
    # Voluum
    "cid": "click_id",
    "clickid": "click_id",
    "et": "goal",
    "param1": "adv1",
    "param2": "adv2",
    "param3": "adv3",
    "param4": "adv4",
    "param5": "adv5",
    "payout": "amount",
    "txid": "order_id",
    # CAKE, whose one-letter names are taken from servers only: in a browser they are what defeats a cache
    "e": "goal",
    "ecco": "promo_code",
    "o": "offer_id",
    "p": "amount",
    "r": "click_id",
    "reqid": "click_id",
    "t": "order_id",
}
"""``payout`` and ``revenue`` are what trackers call the amount that an advertiser reports to them."""
