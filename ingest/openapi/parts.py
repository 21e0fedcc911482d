"""The pieces that operations are made of: parameters, bodies, answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
PROBLEMS: Mapping[int, str] = {
    400: "Malformed; `reason` says how, `field` where.",
    401: "No valid API key, or the postback does not prove itself.",
    403: "Not permitted to this sender.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    409: "Contradicts what is known, or the same request is in flight.",
    412: "Another version has been applied meanwhile.",
    413: "Too large.",
    415: "A content type or encoding that is not taken here.",
    422: "Well formed, but it names something that is not in the catalog, or contradicts itself.",
    428: "A change has to say which version it was made from.",
    429: "Too many requests; `Retry-After` says when to come again.",
    503: "Could not be made durable, or no catalog has been applied yet; `Retry-After` says when to come again.",
}
"""What a problem document with this status means, wherever it comes."""
RETRY: Json = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def query(name: str, description: str, schema: Json | None = None, *, required: bool = False) -> Json:
    """A query parameter."""
    return parameter("query", name, description, schema, required=required)


def header(name: str, description: str, schema: Json | None = None) -> Json:
    """A request header."""
    return parameter("header", name, description, schema)


def path(name: str, description: str, schema: Json | None = None) -> Json:
    """A part of the path."""
    return parameter("path", name, description, schema, required=True)


def parameter(where: str, name: str, description: str, schema: Json | None, *, required: bool = False) -> Json:
    return {"in": where, "name": name, "description": description, "required": required, "schema": schema or TEXT}


def aliased(fields: Mapping[str, str], aliases: Mapping[str, str]) -> list[Json]:
    """A parameter per field with its other names from the alias table. ``fields``: name to show → description."""
    parameters = []
    for name, description in fields.items():
        target = aliases.get(name, name)
        others = sorted(other for other, field in aliases.items() if field == target and other != name)
        known = f" Also known as {', '.join(f'`{other}`' for other in others)}." if others else ""
        parameters.append(query(name, description + known))
    return parameters


def body(description: str, content: Mapping[str, Json], *, required: bool = True) -> Json:
    """A request body: content type → schema."""
    return {
        "description": description,
        "required": required,
        "content": {kind: {"schema": schema} for kind, schema in content.items()},
    }


def answer(description: str, content: Mapping[str, Json] | None = None, headers: Json | None = None) -> Json:
    """A response: content type → schema."""
    made: Json = {"description": description}
    if content:
        made["content"] = {kind: {"schema": schema} for kind, schema in content.items()}
    if headers:
        made["headers"] = headers
    return made


def problems(*statuses: int, content: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """Answers that are problem documents, or ``content`` where a dialect has its own form."""
    shape = content or {"application/problem+json": ref("Problem")}
    retry = (429, 503)
    return {str(each): answer(PROBLEMS[each], shape, RETRY if each in retry else None) for each in statuses}


def operation(
    name: str,
    summary: str,
    description: str,
    *,
    tag: str,
    responses: Mapping[str, Json],
    parameters: Sequence[Json] = (),
    request: Json | None = None,
    security: Sequence[Json] = (),
) -> Json:
    """One method of a path. ``name`` is the operation id."""
    made: Json = {"operationId": name, "summary": summary, "description": description, "tags": [tag]}
    if parameters:
        made["parameters"] = list(parameters)
    if request is not None:
        made["requestBody"] = request
    if security:
        made["security"] = list(security)
    made["responses"] = dict(responses)
    return made


def with_head(get: Json) -> dict[str, Json]:
    """``get`` and the HEAD of it: the same answers, without their bodies."""
    bare = {status: {k: v for k, v in each.items() if k != "content"} for status, each in get["responses"].items()}
    head = {**get, "operationId": f"{get['operationId']}_head", "responses": bare}
    head["summary"] = f"{get['summary']}: headers only"
    return {"get": get, "head": head}
