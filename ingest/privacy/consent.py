"""A visitor's signals, and what the operator's policy makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from ingest.http import RequestHeaders
from ingest.privacy.bits import Malformed
from ingest.privacy.config import ACTIONS, Action, PrivacyConfig, SignalPolicy
from ingest.privacy.gpp import read_gpp
from ingest.privacy.tcf import Consent, read_tc_string

EEA: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split()  # noqa: SIM905
)
STRINGS_KEPT: Final = 4_096


SIGNALS: Final = ("gdpr", "gdpr_consent", "gpp", "gpp_sid")
"""Parameters that carry a visitor's choice."""


def consent_of(params: Mapping[str, str]) -> dict[str, str]:
    """Of a request's parameters those that carry a choice; mostly none."""
    return {name: params[name] for name in SIGNALS if name in params}


class Ruling(NamedTuple):
    """What may be done, and which signal decided it (None: none was given)."""

    action: Action
    signal: str | None


class Policy:
    """The configured table, per country. One per process."""

    def __init__(self, config: PrivacyConfig) -> None:
        self._config = config
        self._unsaid: dict[str | None, Ruling] = {}
        self._consents_tc = lru_cache(maxsize=STRINGS_KEPT)(self._tc)
        self._consents_gpp = lru_cache(maxsize=STRINGS_KEPT)(self._gpp)

    def rules(self, country: str | None) -> SignalPolicy:
        """The table for visitors from a country."""
        regions = self._config.regions
        if country is None or not regions:
            return self._config.policy
        return regions.get(country) or (regions.get("EEA") if country in EEA else None) or self._config.policy

    def ruling(self, headers: RequestHeaders, params: Mapping[str, str], country: str | None) -> Ruling:
        """The strictest of what the signals of a request ask for. What cannot be read is no consent."""
        said = []
        consented = False
        if headers.get("sec-gpc") == "1":
            said.append("gpc")
        if headers.get("dnt") == "1":
            said.append("dnt")
        if params:
            get = params.get
            applies, consent, gpp = get("gdpr"), get("gdpr_consent"), get("gpp")
            if applies == "1" or (applies is None and consent is not None):
                consented = self._consents_tc(consent or "")
                if not consented:
                    said.append("tcf")
            if gpp is not None and (signal := self._consents_gpp(gpp, get("gpp_sid"))) is not None:
                said.append(signal)
        if consented and not said:
            return Ruling("allow", None)
        if not said:
            found = self._unsaid.get(country)
            if found is None:
                found = self._unsaid[country] = Ruling(self.rules(country).none, None)
            return found
        rules = self.rules(country)
        return max((Ruling(getattr(rules, signal), signal) for signal in said), key=lambda r: ACTIONS.index(r.action))

    def _tc(self, text: str) -> bool:
        try:
            return self._enough(read_tc_string(text))
        except Malformed:
            return False

    def _gpp(self, text: str, applicable: str | None) -> str | None:
        """The signal that the string is, or None."""
        try:
            choice = read_gpp(text, applicable)
        except Malformed:
            return "gpp"
        if choice.purposes is not None and not self._enough(Consent(choice.purposes, choice.vendors)):
            return "tcf"
        return "gpp" if choice.opted_out else None

    def _enough(self, consent: Consent) -> bool:
        vendor = self._config.tcf_vendor
        return consent.purposes.issuperset(self._config.tcf_purposes) and (vendor is None or vendor in consent.vendors)
