"""A catalog made ready for decisions: whose contract governs, whose code it is, what an offer belongs to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from schemas.catalog import Catalog, CatalogLog, Contract, Offer, PromoCode
from schemas.catalog.model import CreditGroup, Dated
from schemas.times import DAY

DEFAULT_WINDOW = 30 * DAY
DEFAULT_IMPRESSION_WINDOW = DAY
GROUP_RANK: dict[str, int] = {"preferred": 2, "default": 1, "non_preferred": 0}

Entry = TypeVar("Entry", bound=Dated)


class ProgramTerms(NamedTuple):
    """A program and its advertiser."""

    id: str
    advertiser_id: str
    refuses_foreign_code: bool


def group_of(contract: Contract) -> CreditGroup:
    """The contract's credit group; one that names none is preferred (RULES 1)."""
    return contract.credit_group or "preferred"


class CompiledCatalog:
    """Look-ups over one catalog version."""

    def __init__(self, catalog: Catalog) -> None:
        self.offers: dict[str, Offer] = {offer.id: offer for offer in catalog.offers}
        self.program_of = {offer.id: offer.program for offer in catalog.offers}
        self._covered: dict[tuple[str, str], bool] = {}
        self.currencies = {advertiser.id: advertiser.currency for advertiser in catalog.advertisers}
        self.programs: dict[str, ProgramTerms] = {}
        for advertiser in catalog.advertisers:
            self.programs[advertiser.id] = ProgramTerms(advertiser.id, advertiser.id, False)
            for program in advertiser.programs:
                self.programs[program.id] = ProgramTerms(program.id, advertiser.id, program.foreign_code == "invalid")
        self.buyer_ids = {partner.id: partner.buyer_ids for partner in catalog.partners if partner.buyer_ids}
        on_offer: dict[tuple[str, str], list[Contract]] = defaultdict(list)
        on_program: dict[tuple[str, str], list[Contract]] = defaultdict(list)
        for contract in catalog.contracts:
            if contract.offer_id is not None:
                on_offer[contract.partner_id, contract.offer_id].append(contract)
            elif contract.program_id is not None:
                on_program[contract.partner_id, contract.program_id].append(contract)
        windows = [
            window for c in catalog.contracts for window in (c.window, c.impression_window) if window is not None
        ]
        windows += [offer.window for offer in catalog.offers if offer.window is not None]
        self.longest_window = max([DEFAULT_WINDOW, *windows])
        """No touch older than this, in milliseconds, can be credited under this catalog."""
        codes: dict[tuple[str, str], list[PromoCode]] = defaultdict(list)
        for code in catalog.promo_codes:
            codes[code.program_id, code.folded].append(code)
        self.on_offer = {key: latest_first(group, "id") for key, group in on_offer.items()}
        self.on_program = {key: latest_first(group, "id") for key, group in on_program.items()}
        self.codes = {key: latest_first(group, "partner_id") for key, group in codes.items()}

    def contract(self, partner_id: str, offer_id: str | None, program_id: str, at: int) -> Contract | None:
        """The contract in force at ``at``: on the offer before on the program, of several the latest ``from``."""
        if offer_id is not None:
            found = in_force(self.on_offer.get((partner_id, offer_id), ()), at)
            if found is not None:
                return found
        return in_force(self.on_program.get((partner_id, program_id), ()), at)

    def code(self, program_id: str, code: str, at: int) -> PromoCode | None:
        """The code's entry in force at ``at``, whatever its case (RULES R17, R50); None if unknown or out of dates."""
        return in_force(self.codes.get((program_id, code.casefold()), ()), at)

    def covers(self, contract: Contract, goal: str) -> bool:
        """Whether one of the contract's payout rules names the goal or names none (RULES 2.7)."""
        known = self._covered.get((contract.id, goal))
        if known is None:
            known = any(not rate.goal or goal in rate.goal for rate in contract.payout)
            self._covered[contract.id, goal] = known
        return known

    def is_buyer(self, partner_id: str, customer_id: str | None) -> bool:
        """Whether the customer is the partner itself."""
        return customer_id is not None and customer_id in self.buyer_ids.get(partner_id, ())

    def window(self, contract: Contract, offer: Offer, kind: str) -> int:
        """How old a touch of that kind may be, in milliseconds (RULES 2, details)."""
        if kind == "impression":
            return DEFAULT_IMPRESSION_WINDOW if contract.impression_window is None else contract.impression_window
        if contract.window is not None:
            return contract.window
        return DEFAULT_WINDOW if offer.window is None else offer.window


def latest_first(group: list[Entry], tie: str) -> tuple[Entry, ...]:
    return tuple(sorted(group, key=lambda entry: (entry.starts_at, getattr(entry, tie)), reverse=True))


def in_force(group: Sequence[Entry], at: int) -> Entry | None:
    for entry in group:
        if entry.starts_at <= at and (entry.ends_at is None or at < entry.ends_at):
            return entry
    return None


class CompiledLog:
    """The catalog log with each version compiled once, when first asked for."""

    def __init__(self, log: CatalogLog) -> None:
        self.log = log
        self._compiled: dict[int, CompiledCatalog] = {}

    def in_effect(self, received_at: int) -> tuple[int, CompiledCatalog]:
        """Version and catalog that decide what was received then (DESIGN 5). LookupError while there is none."""
        number = self.log.number_in_effect(received_at)
        compiled = self._compiled.get(number)
        if compiled is None:
            compiled = self._compiled[number] = CompiledCatalog(self.log.catalog(number))
        return number, compiled


class OneCatalog(CompiledLog):
    """A log that is one catalog for ever: an offline run's."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(CatalogLog())
        self.only = CompiledCatalog(catalog)

    def in_effect(self, received_at: int) -> tuple[int, CompiledCatalog]:
        """Version 1 and the catalog, whatever the time."""
        return 1, self.only
