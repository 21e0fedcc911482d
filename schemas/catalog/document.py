"""YAML text to plain data that remembers its lines.

Every scalar stays the text that was written, but null: money keeps its digits, and the country ``NO`` stays Norway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from schemas.errors import CatalogInvalid, Problem

Path = tuple[str | int, ...]
DEPTH_LIMIT = 50
ALIASED_NODES = 100_000
"""Nodes that aliases may add to those that are written."""
NULLS = {"", "~", "null", "Null", "NULL"}


def path_text(path: Sequence[str | int]) -> str:
    """``("contracts", 2, "from")`` as ``contracts[2].from``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "(catalog)"


@dataclass(slots=True)
class Document:
    """A YAML file's data and, per path, the line on which it stands (from 1)."""

    file: str
    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    nodes_left: int = 0
    """Each node takes a character at least; only aliases make more of them, without end if nobody counts."""

    def line(self, path: Sequence[str | int]) -> int:
        """The line of the path, or of the nearest thing around it that is written in the file."""
        at = tuple(path)
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 1)

    def problem(self, path: Sequence[str | int], detail: str) -> Problem:
        return Problem(self.file, self.line(path), path_text(path), detail)


def read_document(text: str, file: str) -> Document:
    """Parse YAML (JSON is YAML, too). CatalogInvalid with the line for what is not, and for a key written twice."""
    document = Document(file)
    try:
        refuse_depth(text, document)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CatalogInvalid([Problem(file, line, "(yaml)", error.problem or "not YAML")]) from None
    except yaml.YAMLError as error:
        raise CatalogInvalid([Problem(file, 1, "(yaml)", str(error).splitlines()[0])]) from None
    except UnicodeEncodeError:
        raise CatalogInvalid([Problem(file, 1, "(yaml)", "half a surrogate pair is no text")]) from None
    document.nodes_left = len(text) + ALIASED_NODES
    document.data = read_node(node, (), document) if node is not None else {}
    return document


def refuse_depth(text: str, document: Document) -> None:
    """CatalogInvalid for what is nested too deeply: libyaml's composer recurses in C until the process crashes."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_LIMIT:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise CatalogInvalid([Problem(document.file, line, "(yaml)", f"nested more than {DEPTH_LIMIT} deep")])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def read_node(node: Node, path: Path, document: Document) -> Any:
    line = node.start_mark.line + 1
    document.nodes_left -= 1
    if document.nodes_left < 0 or len(path) > DEPTH_LIMIT:
        raise CatalogInvalid([Problem(document.file, line, "(yaml)", "its aliases (*name) repeat too much of it")])
    document.lines[path] = line
    if isinstance(node, ScalarNode):
        return None if not node.style and node.value in NULLS else node.value
    if isinstance(node, SequenceNode):
        return [read_node(part, (*path, i), document) for i, part in enumerate(node.value)]
    assert isinstance(node, MappingNode)
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, ScalarNode):
            line = key_node.start_mark.line + 1
            raise CatalogInvalid([Problem(document.file, line, path_text(path), "a field's name is plain text")])
        key = str(key_node.value)
        if key in data:
            problem = Problem(document.file, key_node.start_mark.line + 1, path_text((*path, key)), "is written twice")
            raise CatalogInvalid([problem])
        data[key] = read_node(value_node, (*path, key), document)
        document.lines[(*path, key)] = key_node.start_mark.line + 1
    return data
