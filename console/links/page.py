"""The page of links: a form, what comes of it. Pure text; whatever comes from a visitor or the catalog is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import NamedTuple

from console.links.address import Ground, build, read_address
from console.links.check import Finding, check
from console.links.story import Step, told
from console.links.trial import Sale, try_link
from schemas.money import parse_amount
from schemas.times import format_time

FIELDS = ("offer", "partner", "source", "sub1", "sub2", "sub3", "sub4", "sub5", "promo_code", "url")
REQUIRED = ("offer", "partner")
LABELS = {"promo_code": "promo code", "url": "deep link (url)"}
SHORTS_SHOWN = 500


class Outcome(NamedTuple):
    """What came of the form: the link, what is wrong with it, and the steps of its trial."""

    link: str
    findings: Sequence[Finding]
    steps: Sequence[Step]


def outcome(asked: Mapping[str, str], ground: Ground, now: int) -> Outcome | None:
    """What the form asks for; None while it asks for nothing. Blocks briefly."""
    link = asked.get("link", "").strip()
    if not link and asked.get("offer"):
        pairs = [(name, asked.get(name, "").strip()) for name in FIELDS if name not in REQUIRED]
        link = build(ground.base, asked["offer"].strip(), asked.get("partner", "").strip(), pairs)
    if not link:
        return None
    address = read_address(link, ground.base)
    if address is None:
        return Outcome(link, check(link, ground, now), [])
    amount = asked.get("amount", "").strip() or "100.00"
    try:
        parse_amount(amount)
    except ValueError as error:
        return Outcome(link, [Finding("error", f"amount: {error}")], [])
    sale = Sale(amount=amount, promo_code=asked.get("code", "").strip() or None)
    whole = ground.base + link if link.startswith("/") else link
    return Outcome(whole, check(link, ground, now), told(try_link(address, ground, now, sale), ground, sale))


def page(ground: Ground | str, asked: Mapping[str, str], found: Outcome | None) -> str:
    """The page; ``ground`` is why there is none where there is none."""
    template = Template((resources.files("console.links") / "page.html").read_text())
    known = ground if isinstance(ground, Ground) else None
    return template.substitute(
        where=escape(f"{known.base} · catalog version {known.index.version} · ") if known else "",
        base=escape(known.base) if known else "https://go.example.com",
        trouble="" if known else f'<p class="error">{escape(str(ground))}</p>',
        fields=fields(asked, known),
        link=escape(asked.get("link", "")),
        amount=escape(asked.get("amount", "") or "100.00"),
        code=escape(asked.get("code", "")),
        result="" if found is None else result(found),
        shorts=shorts(known) if known else "",
    )


def fields(asked: Mapping[str, str], ground: Ground | None) -> str:
    """The inputs of a link; offers and partners are suggested from the catalog."""
    suggested: dict[str, list[str]] = {"offer": [], "partner": []}
    if ground is not None:
        suggested["offer"] = [offer.id for offer in ground.catalog.offers]
        suggested["partner"] = [partner.id for partner in ground.catalog.partners]
    out = []
    for name in FIELDS:
        wide = ' class="wide"' if name == "url" else ""
        more = f' list="{name}s" required' if name in REQUIRED else ""
        value = escape(asked.get(name, ""))
        label = LABELS.get(name, name)
        out.append(f'<label{wide}>{label} <input name="{name}" value="{value}"{more} autocomplete="off"></label>')
    for name, ids in suggested.items():
        options = "".join(f'<option value="{escape(each)}">' for each in ids)
        out.append(f'<datalist id="{name}s">{options}</datalist>')
    return "\n".join(out)


def result(found: Outcome) -> str:
    said = "".join(f'<p class="{each.level}">{each.level}: {escape(each.text)}</p>' for each in found.findings)
    said = said or '<p class="good">This link is good.</p>'
    steps = "".join(f"<li><h3>{escape(step.title)}</h3>{facts(step)}</li>" for step in found.steps)
    code = "" if any(each.level == "error" for each in found.findings) else f'<div class="qr">{qr(found.link)}</div>'
    return (
        f'<h2>The link</h2><div class="result"><div><output>{escape(found.link)}</output>{said}</div>{code}</div>'
        f"<h2>Tried, with nothing recorded</h2><ol>{steps or '<li>it cannot be followed</li>'}</ol>"
    )


def facts(step: Step) -> str:
    pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in step.facts)
    return f"<dl>{pairs}</dl>"


def qr(link: str) -> str:
    """The code as an SVG element; none for a link that fits into no code."""
    import segno

    try:
        code = segno.make(link, error="m", micro=False)
    except segno.DataOverflowError:
        return ""
    return str(code.svg_inline(scale=3, border=3, title="QR code of the link"))


def shorts(ground: Ground) -> str:
    """The catalog's short links, each with a way to try it."""
    links = ground.catalog.links[:SHORTS_SHOWN]
    if not links:
        return '<p class="where">none in the catalog: they are its section <code>links</code></p>'
    rows = "".join(
        f'<tr><td><a href="/links?link={escape(f"/l/{link.slug}")}">/l/{escape(link.slug)}</a></td>'
        f"<td>{escape(link.partner_id)}</td><td>{escape(link.offer_id)}</td><td>{escape(link.url or '')}</td>"
        f"<td>{dates(link.starts_at, link.ends_at)}</td></tr>"
        for link in links
    )
    more = len(ground.catalog.links) - len(links)
    rest = f'<p class="where">and {more} more</p>' if more else ""
    head = "<tr><th>link</th><th>partner</th><th>offer</th><th>page</th><th>dates</th></tr>"
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>{rest}'


def dates(starts_at: int, ends_at: int | None) -> str:
    start = f"from {format_time(starts_at)}" if starts_at else ""
    return f"{start} {'' if ends_at is None else f'until {format_time(ends_at)}'}".strip()
