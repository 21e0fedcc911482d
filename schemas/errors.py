"""What can be wrong with data that comes in.

SchemaError
├── InvalidEvent     an event from a sender: tell them the field; a 4xx or a dead letter
├── InvalidClickId   a transaction id that was not signed by us: the same
├── BadFrame         record bytes that are not ours: dead letter with the original
└── CatalogInvalid   a catalog that contradicts itself: nothing is applied, the operator mends the file
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SchemaError(Exception):
    """Base of everything below."""


class InvalidEvent(SchemaError):
    """An event that cannot be accepted.

    ``reason`` is a stable code (``MISSING_FIELD``, ``INVALID_AMOUNT``, …), ``field`` the public name of the field,
    ``detail`` a sentence for the sender.
    """

    def __init__(self, reason: str, field: str | None, detail: str) -> None:
        super().__init__(f"{field}: {detail}" if field else detail)
        self.reason = reason
        self.field = field
        self.detail = detail


class InvalidClickId(InvalidEvent):
    """A click id (transaction id) whose form, key or signature is not ours."""

    def __init__(self, detail: str, field: str = "click_id") -> None:
        super().__init__("INVALID_CLICK_ID", field, detail)


class BadFrame(SchemaError):
    """Bytes that do not start with the magic byte and a schema id of the lock file, or do not decode."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a catalog file: ``line`` from 1, ``path`` like ``contracts[2].payout[0].percent``."""

    file: str
    line: int
    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.detail}"


class CatalogInvalid(SchemaError):
    """A catalog that cannot be applied; ``problems`` says every place and the way out."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
