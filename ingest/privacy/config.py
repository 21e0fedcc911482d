"""The ``privacy`` section of ingest.yaml: what a visitor's signals mean, and what is kept of a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Action = Literal["allow", "no_cookie", "no_identify"]
"""From the least to the strictest. ``no_cookie``: no cookie is set or read, and the touch stands in a session of its
own, which only its click id joins. ``no_identify``: besides, no address and no user agent is kept."""
ACTIONS: tuple[Action, ...] = ("allow", "no_cookie", "no_identify")
Region = Annotated[str, StringConstraints(pattern=r"^([A-Z]{2}|EEA)$")]
Name = Annotated[str, StringConstraints(min_length=1, to_lower=True)]

CLEAR_PARAMS = (
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "utm_id",
    "aff_click_id",
)
PERSONAL_PARAMS = (
    "email",
    "e_mail",
    "e-mail",
    "mail",
    "em",
    "phone",
    "telephone",
    "tel",
    "mobile",
    "ph",
    "name",
    "first_name",
    "firstname",
    "fname",
    "fn",
    "last_name",
    "lastname",
    "lname",
    "ln",
    "surname",
    "full_name",
    "address",
    "street",
    "zip",
    "zipcode",
    "postcode",
    "postal_code",
    "birthday",
    "birthdate",
    "dob",
    "ssn",
    "password",
    "passwd",
    "pwd",
    "iban",
    "card",
    "card_number",
    "username",
    "login",
)


class SignalPolicy(BaseModel):
    """What to do when a visitor signals "no". The strictest of those that were signalled is done."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpc: Action = "no_identify"
    """``Sec-GPC: 1``"""
    dnt: Action = "no_identify"
    """``DNT: 1``"""
    tcf: Action = "no_identify"
    """``gdpr=1`` without consent to every one of ``tcf_purposes`` in ``gdpr_consent``."""
    gpp: Action = "no_identify"
    """An opt-out of sale, sharing or targeted advertising in a GPP section that applies."""
    none: Action = "allow"
    """No signal at all. ``no_identify`` where the law asks for consent first."""


class PrivacyConfig(BaseModel):
    """Defaults: whoever says no is not identified, and of everyone else what identifies is sealed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: SignalPolicy = SignalPolicy()
    regions: Mapping[Region, SignalPolicy] = Field(default_factory=dict)
    """In place of ``policy`` for visitors from a country (``DE``) or the ``EEA``; a country goes before the EEA."""
    tcf_purposes: tuple[Annotated[int, Field(ge=1, le=24)], ...] = (1, 7)
    """1 is storage on the device (our cookie), 7 measuring advertising performance (joining touches)."""
    tcf_vendor: Annotated[int, Field(ge=1)] | None = None
    """Our id on IAB Europe's vendor list; when given, consent to this vendor is asked for too."""
    address: Literal["truncate", "hash", "drop"] = "truncate"
    """Of an address, after the country is known: IPv4 /24 and IPv6 /48, a keyed hash that changes daily, or nothing."""
    seal: bool = True
    """Encrypt what identifies a person, so that `accredit forget` can make it unreadable in every copy of the log."""
    clear_params: frozenset[Name] = frozenset(CLEAR_PARAMS)
    """Senders' own parameters that are kept in the clear; all others are sealed (with ``seal`` off: clear too)."""
    personal_params: frozenset[Name] = frozenset(PERSONAL_PARAMS)
    """Parameters that are dropped wherever they come, in landing links and referrers too."""
