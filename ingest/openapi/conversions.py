"""What advertisers report: postbacks, TUNE's paths, pixels."""

from __future__ import annotations

from typing import Any

from ingest.aliases import CONVERSION_ALIASES
from ingest.openapi.links import GIF
from ingest.openapi.parts import TEXT, Json, aliased, answer, body, header, operation, problems, query, ref

TAG = "Conversions"
FIELDS = {
    "transaction_id": "The click id that the landing page was given. It brings session and advertiser.",
    "advertiser_id": "Whose conversion it is; needed without a `transaction_id`.",
    "order_id": "The order. The same order and goal is the same conversion for ever.",
    "goal": "What was reached; `sale` unless it is named.",
    "amount": 'Plain decimal text, like "49.90".',
    "currency": "ISO 4217; the advertiser's unless it is named.",
    "status": "`pending`, `approved`, `rejected`, `reversed`, or another word for one of them.",
    "coupon": "The promo code that was used.",
    "customer": "Who bought, hashed on arrival.",
    "country": "Two letters.",
    "program_id": "The program, where it is not the offer's.",
    "offer_id": "The offer.",
    **{f"adv{n}": "The advertiser's own." for n in range(1, 6)},
}
PROOF = [
    header("X-Accredit-Token", "The advertiser's token, where one is asked. `token` as a parameter does too."),
    header("X-Accredit-Timestamp", "Seconds since the epoch, where a signature is asked."),
    header("X-Accredit-Signature", "`v1=` and the HMAC-SHA-256 of the canonical string in hex (docs/access.md)."),
]
PROVEN: list[Json] = [{}, {"postbackToken": []}, {"postbackSignature": []}]
TUNE: Json = {"text/plain": {"type": "string", "pattern": "^success=(true|false);"}}
REFUSED = (400, 401, 403, 408, 409, 413, 415, 422, 429, 503)
FROM_BROWSER = " It comes from a visitor's browser and can prove nothing: the operator allows it per advertiser."


def form() -> Json:
    """The parameters as a form or JSON object."""
    fields = {each["name"]: {"type": "string", "description": each["description"]} for each in parameters()}
    return {"type": "object", "properties": fields, "additionalProperties": True}


def parameters() -> list[Json]:
    return aliased(FIELDS, CONVERSION_ALIASES)


def given() -> Json:
    kinds = dict.fromkeys(("application/x-www-form-urlencoded", "application/json"), ref("ConversionForm"))
    return body("The parameters; those of the body go before those of the query.", kinds, required=False)


def both(name: str, summary: str, text: str, responses: dict[str, Json], **more: Any) -> dict[str, Json]:
    """GET with parameters, POST with a body too."""
    get = operation(name, summary, text, tag=TAG, responses=responses, **more)
    post = operation(f"{name}_post", summary, text, tag=TAG, responses=responses, request=given(), **more)
    return {"get": get, "post": post}


def paths() -> dict[str, Json]:
    """Path → operations."""
    fields = parameters()
    signed: dict[str, Any] = {"parameters": [*fields, *PROOF], "security": PROVEN}
    said = {"200": answer("Durable. `duplicate`: known already.", {"application/json": ref("ConversionTaken")})}
    image = {"200": answer("Durable; `Accredit-Result` says what it came to.", GIF), **problems(*REFUSED)}
    frame = {"200": answer("Durable; the page says what it came to.", {"text/html": TEXT}), **problems(*REFUSED)}
    tune = {"200": answer("`success=true;`", TUNE), **problems(*REFUSED, content=TUNE)}
    either = {**tune, "200": answer("`success=true;`, or an image where one is accepted.", {**TUNE, **GIF})}
    which = query("a", "`lsr`: from a server, `l`: from a browser.", {"enum": ["lsr", "l"]}, required=True)
    beacon = both("beacon", "Beacon", "What `/js/accredit.js` sends." + FROM_BROWSER, {**said, **problems(*REFUSED)})
    for each in beacon.values():
        each["parameters"] = fields
    beacon["options"] = operation(
        "beacon_preflight", "CORS preflight", "Any origin.", tag=TAG, responses={"204": answer("Go ahead.")}
    )
    pixel: dict[str, Any] = {"parameters": fields, "tag": TAG}
    return {
        "/pb": both(
            "postback",
            "Postback",
            "One conversion, or a change of its status.",
            {**said, **problems(*REFUSED)},
            **signed,
        ),
        "/aff_lsr": both(
            "tune_server", "Postback, as TUNE has it", "As `/pb`; answers in TUNE's form.", tune, **signed
        ),
        "/aff_goal": both(
            "tune_goal",
            "Goal, as TUNE has it",
            "As `/aff_lsr` or `/aff_l`, as `a` says.",
            either,
            parameters=[which, *fields, *PROOF],
            security=PROVEN,
        ),
        "/aff_l": both(
            "tune_browser", "Pixel, as TUNE has it", "An iframe's or image's." + FROM_BROWSER, either, parameters=fields
        ),
        "/px": beacon,
        "/px.gif": {"get": operation("pixel", "Image pixel", FROM_BROWSER.strip(), responses=image, **pixel)},
        "/px.html": {"get": operation("iframe", "Iframe", FROM_BROWSER.strip(), responses=frame, **pixel)},
    }
