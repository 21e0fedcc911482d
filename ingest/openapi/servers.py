"""What servers and trackers send: bulk events, adjustments, Segment, Snowplow; the catalog; the process itself."""

from __future__ import annotations

from typing import Any

from ingest.openapi.links import GIF
from ingest.openapi.parts import TEXT, Json, answer, body, header, operation, problems, query, ref, with_head
from ingest.trackers.segment import SegmentDoor

BULK, TRACKERS, CATALOG, PROCESS = "Bulk", "Trackers", "Catalog", "Process"
KEYED: list[Json] = [{}, {"apiKey": []}, {"apiKeyHeader": []}]
ANY: Json = {"type": "object", "additionalProperties": True}
ENCODING = header("Content-Encoding", "`gzip` or `zstd`.", {"enum": ["gzip", "zstd", "identity"]})
VERSION: Json = {"ETag": {"description": "The version, in quotes.", "schema": TEXT}}
CATALOG_KINDS: Json = dict.fromkeys(("application/yaml", "application/json"), ref("Catalog"))
PLAIN_KINDS: Json = {"application/yaml": {}, "application/json": ANY}
TAKEN = (400, 401, 403, 408, 409, 413, 415, 422, 429, 503)


def events(name: str, summary: str, text: str, item: Json) -> dict[str, Json]:
    many = {"oneOf": [{"type": "array", "items": item}, item]}
    kinds = {"application/json": many, "application/x-ndjson": TEXT}
    key = header("Idempotency-Key", "A retry with the same key gets the first answer again, for a day.")
    responses = {
        "202": answer("Durable, each item by itself.", {"application/json": ref("BulkResult")}),
        **problems(*TAKEN),
    }
    request = body("A JSON array, one object, or NDJSON; gzip and zstd are taken; 10 MB at most.", kinds)
    more: dict[str, Any] = {"parameters": [key], "request": request, "security": KEYED, "responses": responses}
    return {"post": operation(name, summary, text, tag=BULK, **more)}


def segment(path: str) -> dict[str, Json]:
    name = path.rpartition("/")[2]
    request = body("A call as Segment's libraries send it.", {"application/json": ANY, "text/plain": TEXT})
    responses = {
        "200": answer("Taken, or ignored as no conversion.", {"application/json": ref("SegmentTaken")}),
        **problems(*TAKEN),
    }
    text = "`track` calls that the configuration names become conversions; all else is ignored."
    preflight = operation(
        f"segment_{name}_preflight",
        "CORS preflight",
        "Any origin.",
        tag=TRACKERS,
        responses={"204": answer("Go ahead.")},
    )
    post = operation(
        f"segment_{name}",
        f"Segment: {name}",
        text,
        tag=TRACKERS,
        request=request,
        security=[{}, {"writeKey": []}, {"apiKey": []}],
        responses=responses,
    )
    return {"post": post, "options": preflight}


def snowplow() -> dict[str, Json]:
    preflight = {"200": answer("Go ahead.")}
    payload: Json = {
        "type": "object",
        "required": ["data"],
        "properties": {"schema": {}, "data": {"type": "array", "items": ANY}},
        "additionalProperties": True,
    }
    ok = answer("Taken, or ignored as no conversion.", {"text/plain": {"const": "ok"}})
    post = operation(
        "snowplow",
        "Snowplow: events",
        "Snowplow's tracker protocol, version 2. Purchases become conversions.",
        tag=TRACKERS,
        request=body("payload_data.", {"application/json": payload}),
        responses={"200": ok, **problems(*TAKEN)},
    )
    kind = query("e", "The kind of event, like `pv`, `tr` or `ue`.", {"type": "string", "minLength": 1}, required=True)
    get = operation(
        "snowplow_get",
        "Snowplow: one event",
        "As parameters.",
        tag=TRACKERS,
        parameters=[kind],
        responses={"200": answer("Taken, or ignored as no conversion.", GIF), **problems(*TAKEN)},
    )
    asked: dict[str, Any] = {"tag": TRACKERS, "responses": preflight}
    return {
        "/com.snowplowanalytics.snowplow/tp2": {
            "post": post,
            "options": operation("snowplow_preflight", "CORS preflight", "Any origin.", **asked),
        },
        "/i": {
            **with_head(get),
            "options": operation("snowplow_get_preflight", "CORS preflight", "Any origin.", **asked),
        },
    }


def catalog() -> dict[str, Json]:
    get = operation(
        "catalog_get",
        "The catalog",
        "The newest version, in effect or a few seconds ahead; as it was applied, or as JSON where that is "
        "accepted: every value in it is text, as the catalog's author wrote it.",
        tag=CATALOG,
        parameters=[
            query("version", "The one of this number.", {"type": "integer", "minimum": 1, "maximum": 999_999_999})
        ],
        security=KEYED,
        responses={"200": answer("The catalog.", PLAIN_KINDS, VERSION), **problems(400, 401, 403, 404, 429, 503)},
    )
    put = operation(
        "catalog_put",
        "Apply a catalog",
        "The whole catalog, as YAML or JSON. Ask with `dry_run=true` first: it gives the difference. A change names "
        "the version that it was made from; a few seconds later it is in effect.",
        tag=CATALOG,
        parameters=[
            query("dry_run", "Only say what would change.", {"enum": ["true", "false"], "default": "false"}),
            header(
                "If-Match", 'The version it was made from, like `"3"`; `*` for whichever. Not needed for the first.'
            ),
        ],
        request=body("The catalog.", CATALOG_KINDS),
        security=KEYED,
        responses={
            "200": answer("Applied; or what would change.", {"application/json": ref("CatalogApplied")}, VERSION),
            "201": answer("The first version.", {"application/json": ref("CatalogApplied")}, VERSION),
            **problems(400, 401, 403, 408, 412, 413, 415, 428, 429, 503),
            "422": answer("It contradicts itself: each place.", {"application/problem+json": ref("CatalogProblem")}),
        },
    )
    return {"get": get, "put": put}


def process() -> dict[str, Json]:
    """Path → operations of what a process says of itself."""

    def probe(name: str, summary: str, content: Json, *more: int) -> dict[str, Json]:
        responses = {"200": answer("Yes.", content)}
        for each in more:
            responses[str(each)] = answer("Not now; `missing` says why.", content)
        return with_head(operation(name, summary, "", tag=PROCESS, responses=responses))

    return {
        "/healthz": probe("healthz", "Whether it is alive", {"application/json": ANY}),
        "/readyz": probe("readyz", "Whether it can take events", {"application/json": ref("Readiness")}, 503),
        "/metrics": probe("metrics", "Prometheus' metrics", {"text/plain": TEXT}),
        "/openapi.json": probe("openapi", "This document", {"application/json": ANY}),
        "/docs": probe("docs", "This document, to read", {"text/html": TEXT}),
    }


def paths() -> dict[str, Json]:
    """Path → operations."""
    return {
        "/v1/events": events(
            "events",
            "Bulk events",
            "Clicks, impressions, conversions and adjustments. One bad event does not cost the others.",
            ref("Event"),
        ),
        "/v1/adjustments": events(
            "adjustments",
            "Adjustments",
            "Approve, reject, reverse or amend conversions after the fact.",
            ref("AdjustmentItem"),
        ),
        **{path: segment(path) for path in SegmentDoor.paths},
        **snowplow(),
        "/v1/catalog": catalog(),
        **process(),
    }
