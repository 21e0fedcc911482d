"""What many visits are answered and what they leave in the log, as text: ``python -P -m tests.support.visits``.

Run twice, interpreted and compiled, it says the same. Clock and chance are fixed.
"""

from __future__ import annotations

import hashlib
from itertools import product

from ingest import app
from tests.support.front_door import FrontDoor

BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
URLS = (
    "/c/shoes?partner=anna&sub1=spring&sub2=%C3%A4%26",
    "/c/shoes?partner=anna&url=https%3A%2F%2Fshop.example%2Fsale",
    "/c/hats?partner=anna&gclid=abc&mail=a%40b.example",
    "/c/coats?partner=anna&promo_code=SPRING",
    "/c/shoes",
    "/c/nope?partner=anna",
    "/aff_c?offer_id=bags&aff_id=anna&aff_sub=x&gdpr=1",
    "/i/shoes.gif?partner=anna",
    "/aff_i?offer_id=hats&aff_id=anna",
    "/l/nobody",
    "/pb?transaction_id=rubbish",
    "/nowhere",
)
HEADERS: tuple[list[tuple[str, str]], ...] = (
    [],
    [("user-agent", BROWSER), ("referer", "https://blog.example/a?email=a@b.example&x=1"), ("accept", "text/html")],
    [("user-agent", BROWSER), ("cookie", "accredit_sid=018f3c1e-0000-7000-8000-000000000001")],
    [("user-agent", "Googlebot/2.1"), ("traceparent", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")],
    [("user-agent", BROWSER), ("sec-gpc", "1")],
    [("user-agent", "facebookexternalhit/1.1")],
)
CLIENTS = ("81.2.69.142:4711", "[2001:db8::1]:4711", "10.0.0.1:1")


def played() -> str:
    """All of it; one front door, so that repetitions are seen, too."""
    door, lines = FrontDoor(), []
    for method, url, headers, client in product(("GET", "HEAD", "DELETE"), URLS, HEADERS, CLIENTS):
        said = door.ask(method, url, headers=headers, client=client)
        lines.append(f"{method} {url} {headers!r} {client}\n  {said.status} {said.headers!r} {said.body!r}")
    lines += map(repr, door.publisher.messages)
    return "\n".join(lines)


if __name__ == "__main__":
    text = played()
    kind = "interpreted" if str(app.__file__).endswith(".py") else "compiled"
    print(kind, text.count("\n") + 1, hashlib.sha256(text.encode()).hexdigest())
