"""What visitors follow and load: tracking links, short links, impressions, the script."""

from __future__ import annotations

from ingest.aliases import CLICK_ALIASES
from ingest.openapi.parts import Json, aliased, answer, operation, path, problems, query, ref, with_head

TAG = "Links"
FIELDS = {
    "partner": "Whose click it is: the partner's id. Without it the visitor goes on and the click counts for nobody.",
    "source": "Where the partner placed the link.",
    **{f"sub{n}": "The partner's own." for n in range(1, 6)},
    "promo_code": "A promo code that the visitor came with.",
    "url": "A deep link, on one of the offer's `deep_link_domains`; elsewhere it is ignored.",
    "aff_click_id": "The partner's own id of the click, kept in `params`.",
}
OTHERS = (
    " Parameters of other names (`utm_…`, `gclid`, `fbclid`, …) are kept. Where the visitor's choice forbids it (GPC,"
    " DNT, TCF, GPP) there is no cookie and no session."
)
PAGE = {"text/html": {"type": "string"}, "application/problem+json": ref("Problem")}
LOCATION: Json = {
    "Location": {"description": "The landing page, its macros filled in.", "schema": {"type": "string"}},
}
GIF: Json = {"image/gif": {"type": "string", "contentMediaType": "image/gif"}}


def link(name: str, summary: str, description: str, parameters: list[Json]) -> dict[str, Json]:
    responses = {
        "302": answer("Recorded, durably; on to the offer.", headers=LOCATION),
        "404": answer("No such offer or link, or one that is not active and has no fallback page.", PAGE),
        **problems(503),
    }
    get = operation(name, summary, description + OTHERS, tag=TAG, responses=responses, parameters=parameters)
    made = with_head(get)
    made["head"]["description"] = "To the same place, without being counted."
    return made


def impression(name: str, description: str, parameters: list[Json]) -> dict[str, Json]:
    responses = {
        "200": answer("Recorded.", GIF),
        "400": answer("Not recorded: no partner is named.", GIF),
        "404": answer("Not recorded: there is no such offer.", GIF),
        **problems(503),
    }
    get = operation(name, "Impression", description, tag=TAG, responses=responses, parameters=parameters)
    made = with_head(get)
    made["head"]["description"] = "Not counted."
    return made


def paths() -> dict[str, Json]:
    """Path → operations."""
    fields = aliased(FIELDS, CLICK_ALIASES)
    seen = [each for each in fields if each["name"] != "url"]
    offer = path("offer_id", "The offer, as the catalog names it.")
    by_query = query("offer_id", "The offer, as the catalog names it. Also known as `offer`, `oid`.")
    slug = path("slug", "The link's slug; upper and lower case are the same.")
    script = {"text/javascript": {"type": "string"}}
    script_answers = {"200": answer("The script; gzip where it is accepted.", script), **problems(404)}
    script_answers["304"] = answer("As it was.")
    qr = {"image/svg+xml": {"type": "string"}, "image/png": {"type": "string", "contentMediaType": "image/png"}}
    short = link("short_link", "Short link", "A link with a name of its own, from the catalog.", [slug, *fields])
    for each in short.values():
        each["responses"]["200"] = answer(
            "`{slug}.svg` and `{slug}.png`: its QR code.", qr if each is short["get"] else {}
        )
        each["responses"] |= {
            "400": answer("The host is none that a QR code could name.", PAGE if each is short["get"] else {})
        }
    return {
        "/c/{offer_id}": link("redirect", "Tracking link", "Records a click, answers 302.", [offer, *fields]),
        "/aff_c": link("redirect_tune", "Tracking link, as TUNE has it", "As `/c/{offer_id}`.", [by_query, *fields]),
        "/l/{slug}": short,
        "/i/{offer_id}.gif": impression("impression", "A visitor has seen something.", [offer, *seen]),
        "/aff_i": impression("impression_tune", "As `/i/{offer_id}.gif`, as TUNE has it.", [by_query, *seen]),
        "/js/{name}": with_head(
            operation(
                "script",
                "The shop's script",
                "`accredit.js`, and the name that carries its digest and never changes (see `accredit link`).",
                tag=TAG,
                responses=script_answers,
                parameters=[path("name", "`accredit.js` or `accredit.DIGEST.js`.")],
            )
        ),
    }
