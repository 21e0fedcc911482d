"""What the shape of a catalog cannot say: references, uniqueness, overlaps. Each problem names the way out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from schemas.catalog.document import Document
from schemas.catalog.model import Catalog, Dated, Link, Offer
from schemas.errors import Problem
from schemas.times import format_time
from schemas.urls import DeepLinkHosts


def check_references(catalog: Catalog, document: Document) -> list[Problem]:
    """Duplicate ids and references to what the catalog does not have."""
    problems: list[Problem] = []

    def unique(ids: Iterable[tuple[tuple[str | int, ...], str]], what: str) -> set[str]:
        seen: dict[str, int] = {}
        for path, name in ids:
            if name in seen:
                first = f"the first is on line {seen[name]}; give each its own id"
                problems.append(document.problem(path, f"{what} {name!r} is there twice; {first}"))
            else:
                seen[name] = document.line(path)
        return set(seen)

    def known(name: str | None, names: set[str], what: str, *path: str | int) -> None:
        if name is not None and name not in names:
            detail = f"no {what} {name!r} in this catalog; add it, or mend the id"
            problems.append(document.problem(path, detail))

    advertisers = unique(((("advertisers", i, "id"), a.id) for i, a in enumerate(catalog.advertisers)), "advertiser")
    unique(
        (
            (("advertisers", i, "programs", j, "id"), p.id)
            for i, a in enumerate(catalog.advertisers)
            for j, p in enumerate(a.programs)
        ),
        "program",
    )
    owners: dict[str, str] = {a.id: a.id for a in catalog.advertisers}
    for i, advertiser in enumerate(catalog.advertisers):
        for j, program in enumerate(advertiser.programs):
            if program.id in advertisers and program.id != advertiser.id:
                detail = f"program {program.id!r} has the id of another advertiser's default program; rename it"
                problems.append(document.problem(("advertisers", i, "programs", j, "id"), detail))
            owners.setdefault(program.id, advertiser.id)
    offers = unique(((("offers", i, "id"), o.id) for i, o in enumerate(catalog.offers)), "offer")
    partners = unique(((("partners", i, "id"), p.id) for i, p in enumerate(catalog.partners)), "partner")
    unique(((("contracts", i, "id"), c.id) for i, c in enumerate(catalog.contracts)), "contract")
    programs = set(owners)
    for i, offer in enumerate(catalog.offers):
        known(offer.advertiser_id, advertisers, "advertiser", "offers", i, "advertiser_id")
        known(offer.program_id, programs, "program", "offers", i, "program_id")
        if offer.program_id in owners and owners[offer.program] != offer.advertiser_id:
            detail = f"program {offer.program_id!r} is {owners[offer.program]!r}'s, not {offer.advertiser_id!r}'s"
            problems.append(document.problem(("offers", i, "program_id"), detail))
    for i, contract in enumerate(catalog.contracts):
        known(contract.partner_id, partners, "partner", "contracts", i, "partner_id")
        known(contract.program_id, programs, "program", "contracts", i, "program_id")
        known(contract.offer_id, offers, "offer", "contracts", i, "offer_id")
    for i, code in enumerate(catalog.promo_codes):
        known(code.partner_id, partners, "partner", "promo_codes", i, "partner_id")
        known(code.program_id, programs, "program", "promo_codes", i, "program_id")
    by_id = {offer.id: offer for offer in catalog.offers}
    for i, link in enumerate(catalog.links):
        known(link.partner_id, partners, "partner", "links", i, "partner_id")
        known(link.offer_id, offers, "offer", "links", i, "offer_id")
        linked = by_id.get(link.offer_id)
        if linked is not None and not on_its_hosts(link, linked):
            allowed = ", ".join(linked.deep_link_domains) or "none"
            detail = f"is not on one of the deep_link_domains of offer {linked.id!r}, which are: {allowed}"
            problems.append(document.problem(("links", i, "url"), detail))
    return problems


def on_its_hosts(link: Link, offer: Offer) -> bool:
    """Whether a short link stays where the offer's deep links may go."""
    return link.url is None or DeepLinkHosts(offer.deep_link_domains).read(link.url) is not None


def check_overlaps(catalog: Catalog, document: Document) -> list[Problem]:
    """Contracts of one partner and scope, or owners of one code or slug, that are in force at the same time."""
    contracts: dict[tuple[str, ...], list[tuple[int, Dated, str]]] = defaultdict(list)
    for i, contract in enumerate(catalog.contracts):
        scope = ("offer", contract.offer_id) if contract.offer_id else ("program", contract.program_id or "")
        contracts[(contract.partner_id, *scope)].append((i, contract, f"contract {contract.id!r}"))
    codes: dict[tuple[str, ...], list[tuple[int, Dated, str]]] = defaultdict(list)
    for i, code in enumerate(catalog.promo_codes):
        codes[(code.program_id, code.folded)].append((i, code, f"code {code.code!r} of {code.partner_id!r}"))
    links: dict[tuple[str, ...], list[tuple[int, Dated, str]]] = defaultdict(list)
    for i, link in enumerate(catalog.links):
        links[(link.slug,)].append((i, link, f"link {link.slug!r} of {link.partner_id!r}"))
    return [
        problem
        for section, groups in (("contracts", contracts), ("promo_codes", codes), ("links", links))
        for group in groups.values()
        for problem in overlaps(section, group, document)
    ]


def overlaps(section: str, group: Sequence[tuple[int, Dated, str]], document: Document) -> Iterable[Problem]:
    ordered = sorted(group, key=lambda entry: (entry[1].starts_at, entry[0]))
    open_until: tuple[int, Dated, str] | None = None
    for entry in ordered:
        i, dated, name = entry
        if open_until is not None and (open_until[1].ends_at is None or dated.starts_at < open_until[1].ends_at):
            j, _, earlier = open_until
            line = document.line((section, j))
            until = format_time(dated.starts_at)
            detail = f"{name} is in force at the same time as {earlier} (line {line}); end that one with until: {until}"
            yield document.problem((section, i), detail)
        if open_until is None or ends_later(dated, open_until[1]):
            open_until = entry


def ends_later(one: Dated, other: Dated) -> bool:
    return other.ends_at is not None and (one.ends_at is None or one.ends_at > other.ends_at)
