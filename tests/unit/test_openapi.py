"""The OpenAPI document is the route table: neither has what the other has not. And the page that shows it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ingest.openapi import specification
from ingest.openapi.page import POLICY, page
from ingest.routes import Route
from tests.support.front_door import FrontDoor

SPECIFICATION = specification()


def routes() -> list[Route]:
    return FrontDoor().routes


def route_path(path: str) -> str:
    """``/c/{offer_id}`` as the table has it: ``/c/*``."""
    return re.sub(r"\{.*", "*", path)


def test_every_route_is_in_the_document_and_the_other_way_round() -> None:
    documented = {route_path(path): {m.upper() for m in each} for path, each in SPECIFICATION["paths"].items()}
    assert documented == {route.path: set(route.methods) for route in routes()}


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values())) if node else own
    return set().union(*map(references, node)) if isinstance(node, list) and node else set()


def test_references_lead_somewhere_and_operations_have_ids_of_their_own() -> None:
    names = {f"#/components/schemas/{name}" for name in SPECIFICATION["components"]["schemas"]}
    assert references(SPECIFICATION) <= names
    ids = [each["operationId"] for path in SPECIFICATION["paths"].values() for each in path.values()]
    assert len(ids) == len(set(ids))


def test_document_and_page_are_served() -> None:
    door = FrontDoor()
    said = door.ask("GET", "/openapi.json")
    assert (said.status, said.json["openapi"]) == (200, "3.1.0")
    tag = said.headers["etag"]
    assert door.ask("GET", "/openapi.json", headers=[("if-none-match", tag)]).status == 304
    said = door.ask("GET", "/docs")
    assert said.status == 200
    assert said.headers["content-security-policy"] == POLICY
    text = said.body.decode()
    assert "/v1/catalog" in text
    assert "<script" not in text
    assert "//" not in re.sub(r"<code>.*?</code>", "", text)  # nothing from elsewhere


def test_page_escapes_what_it_shows() -> None:
    evil = {**SPECIFICATION, "info": {**SPECIFICATION["info"], "title": "<img src=x>", "description": "<b>"}}
    assert "<img" not in page(evil)


@pytest.mark.parametrize("name", ["Touch", "Conversion", "Adjustment"])
def test_event_schemas_name_their_types(name: str) -> None:
    properties = SPECIFICATION["components"]["schemas"][name]["properties"]
    assert properties["occurred_at"] == {"format": "date-time", "title": "Occurred At", "type": "string"}
