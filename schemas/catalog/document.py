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
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CatalogInvalid([Problem(file, line, "(yaml)", error.problem or "not YAML")]) from None
    except yaml.YAMLError as error:
        raise CatalogInvalid([Problem(file, 1, "(yaml)", str(error).splitlines()[0])]) from None
    document.data = read_node(node, (), document) if node is not None else {}
    return document


def read_node(node: Node, path: Path, document: Document) -> Any:
    document.lines[path] = node.start_mark.line + 1
    if isinstance(node, ScalarNode):
        return None if node.style is None and node.value in NULLS else node.value
    if isinstance(node, SequenceNode):
        return [read_node(part, (*path, i), document) for i, part in enumerate(node.value)]
    assert isinstance(node, MappingNode)
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in data:
            problem = Problem(document.file, key_node.start_mark.line + 1, path_text((*path, key)), "is written twice")
            raise CatalogInvalid([problem])
        data[key] = read_node(value_node, (*path, key), document)
        document.lines[(*path, key)] = key_node.start_mark.line + 1
    return data
