"""Which door a path leads to: the whole table of the front door, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from ingest.adjustments import adjustments_door
from ingest.catalog_door import CatalogDoor
from ingest.door import DoorContext
from ingest.events import BulkDoor
from ingest.health import Health
from ingest.http import Exchange, Outcome, Scope
from ingest.idempotency import Idempotency
from ingest.impressions import ImpressionDoor
from ingest.openapi.door import METHODS, docs, openapi
from ingest.pixel import PixelDoor
from ingest.postback import PostbackDoor
from ingest.redirect import RedirectDoor
from ingest.script import ScriptDoor
from ingest.trackers.segment import SegmentDoor
from ingest.trackers.snowplow import GET_PATH, POST_PATH, SnowplowDoor
from ingest.tune import TuneDoor

Handler = Callable[[Scope, Exchange], Outcome]
PROBE: Final = ("GET", "HEAD")


class Route(NamedTuple):
    """``path`` is exact, or a first segment with all below it: ``/c/*``. ``door`` names it in metrics and events."""

    path: str
    door: str
    methods: tuple[str, ...]
    handler: Handler


def routes_of(context: DoorContext, health: Health) -> list[Route]:
    """Every route of one process."""
    redirect = RedirectDoor(context)
    impression = ImpressionDoor(context)
    postback = PostbackDoor(context)
    pixel = PixelDoor(context)
    tune = TuneDoor(context, pixel)
    script = ScriptDoor()
    catalog = CatalogDoor(context)
    settings = context.settings
    lease_ms = int((settings.body_timeout_s + settings.ack_timeout_s) * 1_000)
    idempotency = Idempotency(settings.data_dir / "ingest", settings.config.idempotency, context.now, lease_ms)
    events = BulkDoor(context, idempotency)
    adjustments = adjustments_door(context, idempotency)
    segment = SegmentDoor(context)
    snowplow = SnowplowDoor(context)
    return [
        Route("/c/*", "redirect", redirect.methods, lambda scope, _: redirect.by_path(scope)),
        Route("/aff_c", "redirect", redirect.methods, lambda scope, _: redirect.by_query(scope)),
        Route("/l/*", "short_link", redirect.methods, lambda scope, _: redirect.by_slug(scope)),
        Route("/i/*", "impression", impression.methods, lambda scope, _: impression.by_path(scope)),
        Route("/aff_i", "impression", impression.methods, lambda scope, _: impression.by_query(scope)),
        Route("/pb", "postback", postback.methods, postback),
        Route("/aff_lsr", "postback", tune.methods, tune.server),
        Route("/aff_goal", "postback", tune.methods, tune.goal),
        Route("/aff_l", "pixel", tune.methods, tune.browser),
        Route("/px", "pixel", pixel.methods, pixel.beacon),
        Route("/px.gif", "pixel", pixel.image_methods, pixel.image),
        Route("/px.html", "pixel", pixel.image_methods, pixel.frame),
        Route("/js/*", "script", script.methods, lambda scope, _: script(scope)),
        Route("/v1/events", "bulk", events.methods, events),
        Route("/v1/adjustments", "adjustments", adjustments.methods, adjustments),
        *(Route(path, "segment", segment.methods, segment) for path in segment.paths),
        Route(POST_PATH, "snowplow", snowplow.post_methods, snowplow.post),
        Route(GET_PATH, "snowplow", snowplow.get_methods, snowplow.get),
        Route("/v1/catalog", "catalog", catalog.methods, catalog),
        Route("/healthz", "healthz", PROBE, lambda *_: health.alive()),
        Route("/readyz", "readyz", PROBE, lambda *_: health.ready()),
        Route("/metrics", "metrics", PROBE, lambda *_: health.metrics()),
        Route("/openapi.json", "openapi", METHODS, lambda scope, _: openapi(scope)),
        Route("/docs", "openapi", METHODS, lambda scope, _: docs(scope)),
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
