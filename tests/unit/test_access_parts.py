"""Buckets, listed proxies, the file of keys and what follows it."""

from __future__ import annotations

import json
import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from ingest.access.book import AccessBook, ApiKey, PostbackAuth, editing, read_book, write_book
from ingest.access.config import AccessConfig, RateLimit
from ingest.access.follow import AccessFollower
from ingest.access.limits import TokenBuckets, limited_name
from ingest.access.proxies import TrustedProxies
from ingest.access.secrets import new_key, same, split_key
from ingest.config import read_config
from ingest.errors import AccessInvalid, ConfigInvalid
from ingest.http import address_of, host_of
from tests.support.front_door import FakeHeaders, FakeScope

PROXIES = TrustedProxies([ip_network("10.0.0.0/8"), ip_network("2001:db8:f::/48")])


def test_a_key_shows_its_id_and_hides_its_secret() -> None:
    fresh = new_key()
    parts = split_key(fresh.text)
    assert parts is not None
    assert parts[0] == fresh.id
    assert same(parts[1], fresh.sha256)
    assert not same(parts[1][::-1], fresh.sha256)
    assert parts[1] not in fresh.sha256


def test_bucket_fills_again_and_never_beyond() -> None:
    buckets = TokenBuckets(RateLimit(per_second=2, burst=2))
    assert [buckets.take("a", 0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert buckets.take("a", 499) > 0
    assert buckets.take("a", 1_000) == 0.0
    assert [buckets.take("a", 3_600_000) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert buckets.take("a", 0) > 0  # a clock that goes back gives nothing


def test_buckets_are_bounded_and_the_longest_unseen_goes_first() -> None:
    buckets = TokenBuckets(RateLimit(per_second=1, burst=1), buckets=2)
    for name in ("a", "b", "a", "c"):
        buckets.take(name, 0)
    assert buckets.take("a", 0) > 0
    assert buckets.take("b", 0) == 0.0  # was forgotten


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("127.0.0.1", None),
        ("::1", None),
        ("nonsense", "nonsense"),
    ],
)
def test_whose_bucket(address: str, name: str | None) -> None:
    assert limited_name(address) == name


def seen(client: str, *headers: tuple[str, str]) -> tuple[str, str, str]:
    scope = FakeScope("GET", "/", "", FakeHeaders([("host", "inner"), *headers]), client=client)
    found = PROXIES.behind(scope)
    return address_of(found), found.scheme, host_of(found)


FORWARDED = (("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "go.example"))


def test_headers_count_from_listed_proxies_alone() -> None:
    assert seen("10.1.2.3:80", *FORWARDED) == ("203.0.113.9", "https", "go.example")
    assert seen("[2001:db8:f::1]:80", *FORWARDED) == ("203.0.113.9", "https", "go.example")
    assert seen("[::ffff:10.1.2.3]:80", *FORWARDED) == ("203.0.113.9", "https", "go.example")
    assert seen("192.0.2.1:80", *FORWARDED) == ("192.0.2.1", "http", "inner")
    assert seen("10.1.2.3:80") == ("10.1.2.3", "http", "inner")


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("1.1.1.1, 203.0.113.9", "203.0.113.9"),  # what the visitor wrote is to the left
        ("1.1.1.1, 203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("10.1.1.1, 10.9.9.9", "10.1.1.1"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("evil, 10.9.9.9", "10.9.9.9"),
        ("'; DROP", "10.1.2.3"),
        ("", "10.1.2.3"),
        ("fe80::1%eth0", "10.1.2.3"),
        ("1.1.1.1," * 5_000 + "203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_rightmost_stranger_is_the_visitor(value: str, address: str) -> None:
    assert seen("10.1.2.3:80", ("x-forwarded-for", value))[0] == address


def test_several_headers_are_one_list_and_senseless_ones_are_ignored() -> None:
    both = (("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "203.0.113.9"))
    assert seen("10.1.2.3:80", *both)[0] == "203.0.113.9"
    senseless = (("x-forwarded-proto", "javascript"), ("x-forwarded-host", "a b/c?"))
    assert seen("10.1.2.3:80", *senseless) == ("10.1.2.3", "http", "inner")


def record(**more: Any) -> ApiKey:
    fresh = new_key()
    fields = {"id": fresh.id, "sha256": fresh.sha256, "created_at": 1, "kind": "operator", "scopes": ["catalog:read"]}
    return ApiKey.model_validate({**fields, **more})


def test_the_file_is_its_owners_alone_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "access.json"
    assert read_book(path) == AccessBook()
    book = AccessBook(keys=(record(),), advertisers={"shop": PostbackAuth(addresses=(ip_network("10.0.0.0/8"),))})
    write_book(path, book)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_book(path) == book
    with editing(path) as held:
        held[0] = AccessBook()
    assert read_book(path) == AccessBook()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["access.json", "access.json.lock"]
    path.chmod(0o644)
    with pytest.raises(AccessInvalid, match="chmod 600"):
        read_book(path)


@pytest.mark.parametrize("content", ["", "[]", '{"keys": [{}]}', '{"surplus": 1}', "\0"])
def test_a_damaged_file_is_refused_without_quoting_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "access.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(AccessInvalid, match="restore it from a copy"):
        read_book(path)


def test_a_damaged_secret_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "access.json"
    hmac = [{"id": "x", "created_at": 1, "secret": "tooshort"}]
    path.write_text(json.dumps({"advertisers": {"shop": {"hmac": hmac}}}))
    path.chmod(0o600)
    with pytest.raises(AccessInvalid) as caught:
        read_book(path)
    assert "tooshort" not in str(caught.value)


def test_followed_and_never_opened_by_an_accident(tmp_path: Path) -> None:
    path = tmp_path / "access.json"
    follower = AccessFollower(path)
    assert not follower.current.keys
    first = record()
    write_book(path, AccessBook(keys=(first,)))
    follower.look()
    assert set(follower.current.keys) == {first.id}
    before = follower.current
    follower.look()
    assert follower.current is before
    path.write_text("{")
    follower.look()
    os.unlink(path)
    follower.look()
    assert set(follower.current.keys) == {first.id}
    write_book(path, AccessBook(keys=(first.model_copy(update={"revoked_at": 5}),)))
    follower.look()
    assert follower.current.keys[first.id].state(10) == "revoked"


def test_section_of_the_operators_file(tmp_path: Path) -> None:
    path = tmp_path / "ingest.yaml"
    path.write_text(
        "access:\n  production: true\n  trusted_proxies: [10.0.0.0/8, 192.0.2.1]\n  per_key: null\n"
        "  per_address: {per_second: 50, burst: 100}\n"
    )
    access = read_config(path).access
    assert access.production
    assert access.per_key is None
    assert [str(each) for each in access.trusted_proxies] == ["10.0.0.0/8", "192.0.2.1/32"]
    assert AccessConfig().path(tmp_path) == tmp_path / "access.json"
    path.write_text("access: {trusted_proxies: [10.0.0.1/8]}")
    with pytest.raises(ConfigInvalid, match="trusted_proxies"):
        read_config(path)
