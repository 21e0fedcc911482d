"""Which door a path leads to: the whole table of the front door, a line each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from ingest.door import DoorContext
from ingest.events import EventsDoor
from ingest.health import Health
from ingest.http import Answer, Exchange, Scope
from ingest.postback import PostbackDoor
from ingest.redirect import PREFIX, RedirectDoor

Handler = Callable[[Scope, Exchange], Awaitable[Answer]]
PROBE = ("GET", "HEAD")


class Route(NamedTuple):
    """``path`` is exact, or a first segment with all below it: ``/c/*``. ``door`` names it in metrics and events."""

    path: str
    door: str
    methods: tuple[str, ...]
    handler: Handler


def routes_of(context: DoorContext, health: Health) -> list[Route]:
    """Every route of one process."""
    redirect = RedirectDoor(context)
    postback = PostbackDoor(context)
    events = EventsDoor(context)
    return [
        Route(f"{PREFIX}*", "redirect", redirect.methods, lambda scope, _: redirect(scope)),
        Route("/pb", "postback", postback.methods, postback),
        Route("/v1/events", "bulk", events.methods, events),
        Route("/healthz", "healthz", PROBE, lambda *_: health.alive()),
        Route("/readyz", "readyz", PROBE, lambda *_: health.ready()),
        Route("/metrics", "metrics", PROBE, lambda *_: health.metrics()),
    ]


class RouteTable:
    """Finds the route of a path in one or two look-ups, however many there are."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, Route] = {}
        self._below: dict[str, Route] = {}
        for route in routes:
            if route.path.endswith("*"):
                self._below[route.path[:-1]] = route
            else:
                self._exact[route.path] = route

    def find(self, path: str) -> Route | None:
        """The route, or None."""
        return self._exact.get(path) or self._below.get(path[: path.find("/", 1) + 1])
