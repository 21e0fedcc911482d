"""The whole document: paths, and the schemas behind them from the models that check what is sent."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic.json_schema import models_json_schema

from ingest.openapi import conversions, links, servers
from ingest.openapi.parts import TEXT, Json, ref
from schemas.catalog import Catalog
from schemas.events import AdjustmentIn, ConversionIn, TouchIn

ABOUT = """\
Tracking links, conversion links and pixels, bulk events, the catalog. What is answered with 2xx or 302 is durable; \
what is refused says why in a problem document (RFC 9457) with a stable `reason` and the `field`, and is kept.

`GET` links are followed by visitors and need no key. Servers bring an API key (`accredit keys create`), advertisers' \
postbacks their token, signature or address (`accredit keys postback`), as soon as there is one or the installation is \
in production.
"""
NAMES = {"TouchIn": "Touch", "ConversionIn": "Conversion", "AdjustmentIn": "Adjustment"}
TEXT_OR_NULL: Json = {"type": ["string", "null"]}


@cache
def specification() -> Json:
    """OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Accredit", "version": installed_version(), "description": ABOUT, "license": license_of()},
        "servers": [{"url": "/"}],
        "paths": {**links.paths(), **conversions.paths(), **servers.paths()},
        "components": {"schemas": schemas(), "securitySchemes": security()},
    }


def license_of() -> Json:
    return {"name": "Apache-2.0", "identifier": "Apache-2.0"}


def installed_version() -> str:
    try:
        return version("accredit")
    except PackageNotFoundError:
        return "0"


def security() -> Json:
    basic = "An API key as the user."
    return {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "`ak_…`, of `accredit keys create`."},
        "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "writeKey": {"type": "http", "scheme": "basic", "description": f"Segment's way. {basic}"},
        "postbackToken": {"type": "apiKey", "in": "header", "name": "X-Accredit-Token"},
        "postbackSignature": {"type": "apiKey", "in": "header", "name": "X-Accredit-Signature"},
    }


def schemas() -> dict[str, Json]:
    """By name: those of the models, and those of answers."""
    models: Any = [(model, "validation") for model in (TouchIn, ConversionIn, AdjustmentIn, Catalog)]
    _, made = models_json_schema(models, ref_template="#/components/schemas/{model}")
    found: dict[str, Json] = {NAMES.get(name, name): schema for name, schema in made["$defs"].items()}
    del found["Partner"]["properties"]["buyer_ids"]["uniqueItems"]  # one that is there twice does no harm
    kinds = [ref(name) for name in NAMES.values()]
    adjustment = found["Adjustment"]
    item = {
        **adjustment,
        "title": "AdjustmentItem",
        "required": ["advertiser_id"],
        "properties": {**adjustment["properties"], "status": TEXT_OR_NULL, "reason": TEXT_OR_NULL},
    }
    made_of = {"Event": {"oneOf": kinds}, "AdjustmentItem": item, "ConversionForm": conversions.form()}
    return {**found, **made_of, **answers()}


def answers() -> dict[str, Json]:
    """What comes back."""
    count: Json = {"type": "integer", "minimum": 0}
    problem: dict[str, Json] = {
        "type": {"type": "string", "format": "uri"},
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
        "reason": {"type": "string", "description": "A stable code.", "pattern": "^[A-Z][A-Z0-9_]*$"},
        "field": TEXT_OR_NULL,
    }
    place = record({"line": {"type": "integer", "minimum": 1}, "field": TEXT, "detail": TEXT})
    result = record({"status": {"enum": ["accepted", "duplicate", "rejected"]}})
    result["properties"] |= {"id": TEXT, "reason": TEXT, "field": TEXT_OR_NULL, "detail": TEXT}
    rejected = record({"index": count, "reason": TEXT, "field": TEXT_OR_NULL, "detail": TEXT})
    change = record(
        {
            "sign": {"enum": ["+", "-", "~"]},
            "kind": TEXT,
            "name": TEXT,
            "fields": many(record({"field": TEXT, "old": TEXT, "new": TEXT})),
        }
    )
    applied = record({"dry_run": {"type": "boolean"}, "base_version": count, "version": count, "changes": many(change)})
    applied["properties"]["effective_at"] = {"type": "string", "format": "date-time"}
    taken = record({"status": {"enum": ["accepted", "duplicate"]}, "conversion_id": TEXT})
    taken["properties"] |= {"conversion": TEXT, "action": TEXT}
    segment = record({"success": {"const": True}})
    segment["properties"]["rejected"] = many(rejected)
    return {
        "Problem": record(problem),
        "CatalogProblem": record({**problem, "problems": many(place)}),
        "CatalogApplied": applied,
        "ConversionTaken": taken,
        "BulkResult": record({"accepted": count, "duplicates": count, "rejected": count, "results": many(result)}),
        "SegmentTaken": segment,
        "Readiness": record({"ready": {"type": "boolean"}, "missing": many(TEXT), "reason": TEXT}),
    }


def record(properties: dict[str, Json]) -> Json:
    """An object that has all of these."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


def many(items: Json) -> Json:
    return {"type": "array", "items": items}
