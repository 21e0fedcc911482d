"""The one question that doors ask about a sender. Answers are None or a Refusal: 401, 403 or 429."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.http import Scope


class Gate:
    """Asks for keys where the installation has any. One per process."""

    def bulk(self, scope: Scope, permission: str) -> None:
        """A server-to-server request; ``permission`` is what its key must carry, like ``events:write``."""

    def postback(self, scope: Scope, given: Mapping[str, Any], body: bytes, advertiser_id: str, now: int) -> None:
        """A conversion reported in an advertiser's name, with its parameters and raw body."""

    def visit(self, scope: Scope, now: int) -> None:
        """A visitor's request: the limit per address."""
