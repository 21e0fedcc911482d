"""Consent strings round trip; keys are lost one at a time; nothing that arrives makes the edge fail."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.edge.networks import Networks, packed
from ingest.privacy.addresses import Addresses
from ingest.privacy.bits import ALPHABET, Malformed
from ingest.privacy.config import PrivacyConfig
from ingest.privacy.gpp import read_gpp, read_sections
from ingest.privacy.redact import redacted
from ingest.privacy.tcf import read_tc_string
from schemas.key_tree import DEPTH, DIGITS, KeyTree
from schemas.sealing import Sealer
from tests.support.consent_strings import base64url, flags, gpp_string, number, tc_string

purposes = st.frozensets(st.integers(1, 24))
vendors = st.frozensets(st.integers(1, 2_000), max_size=40)
leaves = st.text(DIGITS, min_size=DEPTH, max_size=DEPTH)
v4 = st.integers(0, 2**32 - 1)
SEALER = Sealer(KeyTree({"": b"r" * 16}), b"s" * 16)


@given(purposes, vendors, st.booleans())
def test_a_tc_string_says_what_was_written_into_it(p: frozenset[int], v: frozenset[int], ranges: bool) -> None:
    assert read_tc_string(tc_string(p, v, ranges=ranges)) == (p, v)


@given(st.dictionaries(st.integers(1, 22), st.text(ALPHABET, max_size=8), max_size=6))
def test_a_gpp_string_has_the_sections_that_were_written_into_it(sections: dict[int, str]) -> None:
    assert read_sections(gpp_string(sections)) == sections


@given(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.booleans())
def test_usnat_opts_out_where_any_of_its_three_says_so(sale: int, sharing: int, targeted: int, gpc: bool) -> None:
    core = number(1, 6) + "01" * 6 + number(sale, 2) + number(sharing, 2) + number(targeted, 2) + flags([], 40)
    text = gpp_string({7: f"{base64url(core)}.{base64url('01' + ('1' if gpc else '0'))}"})
    assert read_gpp(text, "7").opted_out is (1 in (sale, sharing, targeted) or gpc)


@given(st.text())
def test_any_text_is_read_or_malformed(text: str) -> None:
    for read in (read_tc_string, lambda t: read_gpp(t, None)):
        try:
            read(text)
        except Malformed:
            pass


@given(st.lists(leaves, min_size=1, max_size=8, unique=True), leaves)
def test_a_tree_loses_those_keys_and_no_other(lost: list[str], other: str) -> None:
    whole = KeyTree({"": b"k" * 16})
    tree = whole
    for leaf in lost:
        tree = tree.without(leaf)
    assert all(tree.key(leaf) is None for leaf in lost)
    near = {leaf[:-1] + d for leaf in lost for d in DIGITS} - set(lost)
    assert all(tree.key(leaf) == whole.key(leaf) for leaf in near | ({other} - set(lost)))
    # What is left does not lead to what was lost: no node stands on its path.
    assert not any(leaf.startswith(path) for leaf in lost for path in tree.nodes)
    assert tree.without(lost[0]).nodes == tree.nodes


@given(st.uuids(), st.dictionaries(st.text(max_size=8), st.text(max_size=30), min_size=1, max_size=4))
def test_what_is_sealed_opens_until_its_session_is_forgotten(session: object, fields: dict[str, str]) -> None:
    name = str(session)
    sealed = SEALER.seal(name, fields)
    assert sealed is not None
    assert sealed == SEALER.seal(name, fields)
    assert SEALER.open(name, sealed) == fields
    assert SEALER.open("018f3c1e-0000-7000-8000-000000000001", sealed) is None
    after = Sealer(SEALER.tree.without(SEALER.leaf("session", name)), b"s" * 16)
    assert after.open(name, sealed) is None
    assert after.seal(name, fields) is None


@given(st.text(min_size=1, max_size=40))
def test_a_pseudonym_is_one_name_s_and_stays_itself(name: str) -> None:
    made = SEALER.pseudonym(name)
    assert made is not None
    assert SEALER.pseudonym(made) == made
    after = Sealer(SEALER.tree.without(SEALER.leaf("customer", name)), b"s" * 16)
    assert after.pseudonym(name) is None


@given(st.lists(st.tuples(v4, st.integers(4, 32)), max_size=12), v4)
def test_networks_contain_what_the_standard_library_says(drawn: list[tuple[int, int]], asked: int) -> None:
    networks = [ipaddress.ip_network((number_, length), strict=False) for number_, length in drawn]
    address = ipaddress.ip_address(asked)
    raw = packed(str(address))
    assert raw is not None
    assert (raw in Networks(map(str, networks))) is any(address in network for network in networks)


@given(st.ip_addresses())
def test_a_truncated_address_is_its_network(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    addresses = Addresses(PrivacyConfig(), None)
    kept = addresses.kept(str(address), 0)
    assert kept is not None
    mapped = getattr(address, "ipv4_mapped", None) or address
    network = ipaddress.ip_network((mapped, 24 if mapped.version == 4 else 48), strict=False)
    assert ipaddress.ip_address(kept) == network.network_address
    assert addresses.kept(kept, 0) == kept


@pytest.mark.parametrize("sealer", [None, SEALER])
@given(original=st.binary(max_size=200))
def test_any_bytes_can_be_redacted(sealer: Sealer | None, original: bytes) -> None:
    assert redacted(redacted(original, sealer), sealer) is not None
