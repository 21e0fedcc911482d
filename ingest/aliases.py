"""Names that senders use for our fields: the one table for tracking links, the one for postbacks.

An installation may bring its own through the settings. A name that is in no table is kept in ``params``.
"""

from __future__ import annotations

from collections.abc import Mapping

CLICK_FIELDS = ("partner_id", "source", "sub1", "sub2", "sub3", "sub4", "sub5", "promo_code")
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
)

CLICK_ALIASES: Mapping[str, str] = {
    **{name: name for name in CLICK_FIELDS},
    "partner": "partner_id",
    "aff_id": "partner_id",
    "pid": "partner_id",
}
CONVERSION_ALIASES: Mapping[str, str] = {
    **{name: name for name in CONVERSION_FIELDS},
    "transaction_id": "click_id",
    "coupon": "promo_code",
}
