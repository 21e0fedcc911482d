"""What edge and privacy cost a touch, in microseconds of one core: ``python -m bench.edge_parts``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from ingest.edge.config import EdgeConfig
from ingest.edge.visitor import Edge, edge_of
from ingest.privacy.config import PrivacyConfig
from schemas.records import Click
from tests.support.front_door import INDEX, FakeScope

AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"
ROUNDS, CALLS = 7, 10_000


class Headers(dict[str, str]):
    """Found as fast as a connection's."""

    def get_all(self, key: str, /) -> list[str]:
        return [self[key]] if key in self else []


def best(call: Callable[[int], object]) -> float:
    """Microseconds of processor time a call, the best of some rounds; the argument counts the calls."""
    found = []
    for turn in range(ROUNDS):
        begun = time.process_time()
        for n in range(turn * CALLS, (turn + 1) * CALLS):
            call(n)
        found.append(time.process_time() - begun)
    return min(found) / CALLS * 1e6


def main() -> None:
    """Print a line a part."""
    with tempfile.TemporaryDirectory() as folder:
        measure(edge_of(EdgeConfig(), PrivacyConfig(), Path(folder)))


def measure(edge: Edge) -> None:
    edge.agents.warm()
    now = int(time.time() * 1_000)
    asked = FakeScope("GET", "/c/shoes", headers=Headers({"user-agent": AGENT}), client="81.2.69.142:4711")  # type: ignore[arg-type]
    params = {"partner": "anna", "sub1": "banner"}
    visitor = edge.visitor(asked, now, params)
    sessions = [str(uuid4()) for _ in range(ROUNDS * CALLS)]
    touch = Click(
        "c", now, now, "click", "anna", "shoes", None, "GB", sessions[0], referrer="https://blog.example/post"
    )
    touch = touch._replace(user_agent=AGENT, ip="81.2.69.0")
    fresh = [touch._replace(session_id=session) for session in sessions]

    def agent(n: int) -> object:
        return edge.agents.of(f"{AGENT} {n}")

    for name, call in {
        "visitor, looked up before": lambda n: edge.visitor(asked, now, params),
        "marks, another session each": lambda n: edge.marks(visitor, sessions[n], "shoes", "anna", now + n),
        "keeper, session seen before": lambda n: edge.keeper.kept(touch, lambda _: INDEX),
        "keeper, another session each": lambda n: edge.keeper.kept(fresh[n], lambda _: INDEX),
        "user agent not seen before": agent,
    }.items():
        print(f"{name:<30}{best(call):8.2f} µs")


if __name__ == "__main__":
    main()
