"""The join as a user of Quix Streams writes it: touches in RocksDB state by session, decided on a conversion.

    python quix_join.py BROKER CLICKS CONVERSIONS OUT TOTAL CLICK.avsc CONVERSION.avsc

Runs in an environment of its own (quix.lock): Quix pins another confluent-kafka. Without our rules, and without a
changelog. Prints ``quix N events R events/s`` after TOTAL records and exits.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_reader
from quixstreams import Application, State

FRAME_BYTES = 5


def without_logical_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        return schema["type"] if "logicalType" in schema else {k: without_logical_types(v) for k, v in schema.items()}
    return schema


def leading(path: str, last: str) -> Any:
    schema = without_logical_types(json.loads(Path(path).read_text()))
    names = [field["name"] for field in schema["fields"]]
    schema["fields"] = schema["fields"][: names.index(last) + 1]
    return parse_schema(schema)


def main(broker: str, clicks: str, conversions: str, out: str, total: int, click_schema: str, sale_schema: str) -> None:
    click_fields = leading(click_schema, "offer_id")
    sale_fields = leading(sale_schema, "goal")
    app = Application(
        broker_address=broker,
        consumer_group=f"quix-{time.time_ns()}",
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(prefix="quix-state-"),
        use_changelog_topics=False,
        auto_create_topics=False,
        loglevel="ERROR",
        commit_interval=5.0,
    )
    seen = [0, 0.0]

    def read(value: bytes, fields: Any) -> Any:
        return schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), fields, None)

    def count() -> None:
        if seen[0] == 0:
            seen[1] = time.monotonic()
        seen[0] += 1
        if seen[0] == total:
            took = time.monotonic() - seen[1]
            print(f"quix {total} events {total / took:.0f} events/s", flush=True)
            os._exit(0)

    def decide(touches: list[list[Any]], sale: list[Any]) -> dict[str, Any]:
        best = max((t for t in touches if t[0] <= sale[0]), key=lambda t: (-(int(t[1][1:]) % 3), t[0]), default=None)
        return {"conversion_id": sale[1], "partner_id": best[1] if best else None, "touches": len(touches)}

    def on_click(value: bytes, state: State) -> list[dict[str, Any]]:
        click = read(value, click_fields)
        touches = state.get("touches") or []
        touches.append([click["occurred_at"], click["partner_id"]])
        state.set("touches", touches)
        sales = state.get("sales") or []
        count()
        return [decide(touches, sale) for sale in sales]

    def on_sale(value: bytes, state: State) -> list[dict[str, Any]]:
        sale = read(value, sale_fields)
        sales = state.get("sales") or []
        sales.append([sale["occurred_at"], sale["conversion_id"]])
        state.set("sales", sales)
        count()
        return [decide(state.get("touches") or [], sales[-1])]

    def on_either(value: tuple[str, bytes], state: State) -> list[dict[str, Any]]:
        kind, raw = value
        return on_click(raw, state) if kind == "click" else on_sale(raw, state)

    raw = {"key_deserializer": "bytes", "value_deserializer": "bytes"}
    of_clicks = app.dataframe(app.topic(clicks, **raw)).apply(lambda value: ("click", value))
    of_sales = app.dataframe(app.topic(conversions, **raw)).apply(lambda value: ("sale", value))
    both = of_clicks.concat(of_sales).apply(on_either, stateful=True, expand=True)
    both.to_topic(app.topic(out, key_serializer="bytes", value_serializer="json"))
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]), *sys.argv[6:8])
