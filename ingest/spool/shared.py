"""A future that many wait for."""

from __future__ import annotations

import asyncio
from typing import Any


class Shared(asyncio.Future[None]):
    """One of those who wait that is cancelled, a visitor who left, does not cancel it for the others.

    It has a module of its own: mypyc cannot make a class of machine code out of asyncio's.
    """

    def cancel(self, msg: Any = None) -> bool:
        """Never: who waits is cancelled when it is done."""
        return False
