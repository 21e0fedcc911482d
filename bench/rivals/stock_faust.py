"""The join as a user of Faust writes it today: two agents and a Table, one event at a time.

    python -m bench.rivals.stock_faust BROKER CLICKS CONVERSIONS OUT TOTAL

Reads the topics from their beginning and ends after TOTAL records. Prints ``stock-faust N events R events/s``.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import faust

from schemas.codec import decode
from schemas.records import Click, Conversion


def main(broker: str, clicks: str, conversions: str, out: str, total: int) -> None:
    """Build the app and run its worker."""
    app = faust.App(
        f"stock-{time.time_ns()}",
        broker=f"kafka://{broker}",
        store="memory://",
        topic_partitions=4,
        topic_replication_factor=1,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
    )
    of_clicks = app.topic(clicks, key_serializer="raw", value_serializer="raw")
    of_sales = app.topic(conversions, key_serializer="raw", value_serializer="raw")
    credits = app.topic(out, value_serializer="json")
    touches = app.Table("touches", default=list, partitions=4)
    sales = app.Table("sales", default=list, partitions=4)
    seen = [0, 0.0]

    def count() -> None:
        if seen[0] == 0:
            seen[1] = time.monotonic()
        seen[0] += 1
        if seen[0] == total:
            took = time.monotonic() - seen[1]
            print(f"stock-faust {total} events {total / took:.0f} events/s", flush=True)
            os._exit(0)

    async def decide(session: str, sale: Any) -> None:
        before = [touch for touch in touches[session] if touch[0] <= sale[0]]
        best = max(before, key=lambda touch: (-(int(touch[1][1:]) % 3), touch[0]), default=None)
        await credits.send(key=session, value={"conversion_id": sale[1], "partner_id": best[1] if best else None})

    @app.agent(of_clicks)
    async def on_clicks(stream: Any) -> None:
        async for value in stream:
            click = decode(value)
            assert isinstance(click, Click)
            touches[click.session_id] = [*touches[click.session_id], [click.occurred_at, click.partner_id]]
            for sale in sales[click.session_id]:
                await decide(click.session_id, sale)
            count()

    @app.agent(of_sales)
    async def on_sales(stream: Any) -> None:
        async for value in stream:
            sale = decode(value)
            assert isinstance(sale, Conversion)
            known = [sale.occurred_at, sale.conversion_id]
            sales[sale.session_id] = [*sales[sale.session_id], known]
            await decide(sale.session_id, known)
            count()

    worker = faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False)
    worker.execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]))
