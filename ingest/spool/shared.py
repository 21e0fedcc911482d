"""A future that many wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Told = Callable[[asyncio.Future[None]], None]


class Shared(asyncio.Future[None]):
    """One of those who wait that is cancelled, a visitor who left, does not cancel it for the others.

    Who asks with ``tell`` is called at once when it is done, all in one go: asyncio's own callbacks go through the loop
    one by one. It has a module of its own: mypyc cannot make a class of machine code out of asyncio's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._told: list[Told] = []

    def tell(self, told: Told) -> None:
        """Call ``told`` with this future when it is done. It should raise nothing; if it does, the others are told."""
        self._told.append(told)
        if self.done():
            self._tell()

    def set_result(self, result: None, /) -> None:
        """All is durable."""
        super().set_result(result)
        self._tell()

    def set_exception(self, exception: type | BaseException, /) -> None:
        """It cannot be made durable."""
        super().set_exception(exception)
        self._tell()

    def cancel(self, msg: Any = None) -> bool:
        """Never: who waits is cancelled when it is done."""
        return False

    def _tell(self) -> None:
        told, self._told = self._told, []
        for each in told:
            try:
                each(self)
            except Exception as error:
                self.get_loop().call_exception_handler({"message": f"{each} raised", "exception": error})
