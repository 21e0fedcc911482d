"""A future that many wait for: told in one go, cancelled by nobody."""

from __future__ import annotations

import asyncio
from typing import Any

from ingest.spool.shared import Shared


def test_all_are_told_at_once_and_late_ones_too() -> None:
    async def play() -> None:
        shared, told = Shared(asyncio.get_running_loop()), []
        shared.tell(lambda done: told.append(("first", done.exception())))
        shared.tell(lambda done: told.append(("second", done.exception())))
        shared.set_result(None)
        assert told == [("first", None), ("second", None)]
        shared.tell(lambda done: told.append(("late", done.exception())))
        assert told[-1] == ("late", None)

    asyncio.run(play())


def test_one_that_raises_does_not_keep_it_from_the_others() -> None:
    async def play() -> None:
        loop, wrong, told = asyncio.get_running_loop(), [], []
        loop.set_exception_handler(lambda _, context: wrong.append(context["exception"]))

        def fails(_: Any) -> None:
            raise ZeroDivisionError

        shared = Shared(loop)
        shared.tell(fails)
        shared.tell(lambda done: told.append(type(done.exception())))
        shared.set_exception(TimeoutError())
        assert ([type(error) for error in wrong], told) == ([ZeroDivisionError], [TimeoutError])

    asyncio.run(play())


def test_who_leaves_cancels_it_for_nobody() -> None:
    async def play() -> None:
        shared = Shared(asyncio.get_running_loop())

        async def wait() -> str:
            await shared
            return "durable"

        leaving, staying = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        shared.set_result(None)
        assert await staying == "durable"

    asyncio.run(play())
