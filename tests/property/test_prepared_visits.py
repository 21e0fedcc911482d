"""A visit written from prepared parts is, to the byte, the record that the long way would write."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.edge.config import EdgeConfig
from ingest.edge.visitor import Edge, edge_of
from ingest.privacy.config import PrivacyConfig
from schemas.codec import decode, encode
from schemas.records import Click
from tests.support.front_door import INDEX, FrontDoor

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
OURS = st.sampled_from(
    ["partner", "source", "sub1", "sub5", "aff_sub2", "promo_code", "aff_click_id", "url", "country"]
)
OTHERS = st.sampled_from(["utm_source", "gclid", "email", "gdpr", "gdpr_consent", "gpp", "accredit_flags"])
PARAMS = st.dictionaries(OURS | OTHERS | TEXT, TEXT, max_size=8)
HEADERS = st.dictionaries(
    st.sampled_from(["user-agent", "referer", "sec-gpc", "dnt", "cookie", "traceparent"]),
    st.sampled_from(["1", "https://a.example/?email=x@y.example&q=1#top", "Googlebot/2.1", "accredit_sid=x"]) | TEXT,
)
CLIENTS = st.sampled_from(["203.0.113.9:1", "[2001:db8::1]:1", "52.4.5.6:1", "127.0.0.1:1", "nonsense"])


@cache
def edges() -> tuple[Edge, Edge]:
    """One that seals nothing and one that does. Both see every visit, and so count the same repetitions."""
    with TemporaryDirectory() as folder:
        return Edge(), edge_of(EdgeConfig(), PrivacyConfig(), Path(folder))


def told(edge: Edge, url: str, headers: dict[str, str], client: str) -> tuple[bytes, Click] | None:
    """The record of a visit through this edge, None where it left none."""
    door = FrontDoor(edge=edge)
    assert door.ask("GET", url, headers=list(headers.items()), client=client).status < 500
    clicks = [message.value for message in door.publisher.messages if message.topic == "clicks"]
    if not clicks:
        return None
    record = decode(clicks[0])
    assert isinstance(record, Click)
    return clicks[0], record


@given(st.sampled_from(["/c/shoes", "/c/hats", "/i/shoes.gif"]), PARAMS, HEADERS, CLIENTS)
@settings(max_examples=150, deadline=None)
def test_prepared_and_sealed_is_what_the_keeper_makes_of_the_plain_record(
    path: str, params: dict[str, str], headers: dict[str, str], client: str
) -> None:
    url = f"{path}?{urlencode({'partner': 'anna', **params})}"
    clear, sealing = edges()
    plain, sealed = told(clear, url, headers, client), told(sealing, url, headers, client)
    assert (plain is None) == (sealed is None)
    if plain is None or sealed is None:
        return
    for value, record in (plain, sealed):
        assert encode(record) == value
        assert record.params.keys().isdisjoint({"email"})
    assert sealed[1] == sealing.keeper.kept(plain[1], lambda _: INDEX)
    assert "accredit_sealed" not in plain[1].params
    assert (sealed[1].ip, sealed[1].user_agent, sealed[1].referrer) == (None, None, None)
