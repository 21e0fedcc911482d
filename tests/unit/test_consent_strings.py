"""TC and GPP strings that others' libraries publish with what they mean, and the policy on top."""

from __future__ import annotations

import pytest

from ingest.privacy.bits import Malformed
from ingest.privacy.config import PrivacyConfig, SignalPolicy
from ingest.privacy.consent import Policy, Ruling
from ingest.privacy.gpp import read_gpp, read_sections
from ingest.privacy.tcf import read_tc_string
from tests.support.consent_strings import tc_string
from tests.support.front_door import FakeHeaders

ALL = tc_string(range(1, 11), [3, 755])
NO_STORAGE = tc_string([2, 7], [755])


def test_a_tc_string_of_the_iabs_own_libraries() -> None:
    found = read_tc_string("COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA")
    assert found == ({3, 4, 5, 6, 7, 8, 9}, {23, 37, 47, 48, 53, 65, 98})
    assert read_tc_string("COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA").vendors == frozenset()


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA", [2]),
        ("DBACNY~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", [2, 6]),
        ("DBABjw~x~y", [5, 6]),
        ("DBABLA~BVAoAAAAAABk.QA", [7]),
        ("DBABBg~BUoAAABg.Q", [8]),
        ("DBABrw~BVAUAAAAAABk.QA~BAAAAABA.QA", [7, 8]),
        ("DBAA", []),
    ],
)
def test_the_sections_of_a_gpp_string(text: str, sections: list[int]) -> None:
    assert list(read_sections(text)) == sections


@pytest.mark.parametrize(
    ("text", "sid", "opted_out"),
    [
        ("DBABLA~BVAoAAAAAABk.QA", "7", False),  # sale 2, sharing 2: did not opt out
        ("DBABLA~BVVqAAEABCA.YA", "7", True),  # nothing but the GPC segment
        ("DBABLA~BVVqAAEABCA.QA", "7", False),
        ("DBABLA~BVVqAAEABCA", "7", False),
        ("DBABrw~BVAUAAAAAABk.QA~BAAAAABA.QA", "7,8", True),  # usnat: sale 1, sharing 1
        ("DBABrw~BVAUAAAAAABk.QA~BAAAAABA.QA", "8", False),  # only California applies
        ("DBABrw~BVAUAAAAAABk.QA~BAAAAABA.QA", "-1", False),
        ("DBABrw~BVAUAAAAAABk.QA~BAAAAABA.QA", None, True),
        ("DBABBg~BUoAAABg.Q", "8", False),
        ("DBABTA~1YNN", "6", False),
        ("DBABTA~1YYN", "6", True),
    ],
)
def test_the_opt_outs_of_a_gpp_string(text: str, sid: str | None, opted_out: bool) -> None:
    assert read_gpp(text, sid).opted_out is opted_out


@pytest.mark.parametrize(
    "text", ["", "x", "CO", "COtybn4PA", "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "C\u00e9", "C" * 20_000]
)
def test_what_is_no_tc_string(text: str) -> None:
    with pytest.raises(Malformed):
        read_tc_string(text)


@pytest.mark.parametrize("text", ["", "invalid", "DBABLA", "DBABLA~", "DBABLA~B~C", "DBAC", "D" * 20_000, "DBABLA~BV"])
def test_what_is_no_gpp_string(text: str) -> None:
    with pytest.raises(Malformed):
        read_gpp(text, None)


@pytest.mark.parametrize(
    ("headers", "params", "expected"),
    [
        ([], {}, Ruling("allow", None)),
        ([("sec-gpc", "1")], {}, Ruling("no_identify", "gpc")),
        ([("sec-gpc", "0")], {}, Ruling("allow", None)),
        ([("dnt", "1")], {}, Ruling("no_identify", "dnt")),
        ([("dnt", "0")], {}, Ruling("allow", None)),
        ([], {"gdpr": "1", "gdpr_consent": ALL}, Ruling("allow", None)),
        ([], {"gdpr": "1", "gdpr_consent": NO_STORAGE}, Ruling("no_identify", "tcf")),
        ([], {"gdpr": "0", "gdpr_consent": NO_STORAGE}, Ruling("allow", None)),
        ([], {"gdpr_consent": NO_STORAGE}, Ruling("no_identify", "tcf")),
        ([], {"gdpr": "1"}, Ruling("no_identify", "tcf")),
        ([], {"gdpr": "1", "gdpr_consent": "broken"}, Ruling("no_identify", "tcf")),
        ([], {"gpp": "DBABrw~BVAUAAAAAABk.QA~BAAAAABA.QA", "gpp_sid": "7"}, Ruling("no_identify", "gpp")),
        ([], {"gpp": "DBABLA~BVAoAAAAAABk.QA"}, Ruling("allow", None)),
        ([], {"gpp": f"DBABMA~{NO_STORAGE}"}, Ruling("no_identify", "tcf")),
        ([], {"gpp": f"DBABMA~{ALL}"}, Ruling("allow", None)),
        ([], {"gpp": "broken"}, Ruling("no_identify", "gpp")),
    ],
)
def test_what_the_default_policy_makes_of_signals(
    headers: list[tuple[str, str]], params: dict[str, str], expected: Ruling
) -> None:
    assert Policy(PrivacyConfig()).ruling(FakeHeaders(headers), params, "US") == expected


def test_the_strictest_signal_counts_and_regions_differ() -> None:
    table = SignalPolicy(gpc="allow", dnt="no_cookie")
    strict = SignalPolicy(none="no_identify")
    config = PrivacyConfig(policy=table, regions={"EEA": strict, "FR": SignalPolicy(none="no_cookie")})
    policy = Policy(config)
    both = FakeHeaders([("sec-gpc", "1"), ("dnt", "1")])
    assert policy.ruling(both, {}, "US") == Ruling("no_cookie", "dnt")
    assert policy.ruling(FakeHeaders([("sec-gpc", "1")]), {}, None).action == "allow"
    assert policy.ruling(FakeHeaders([]), {}, "DE") == Ruling("no_identify", None)
    assert policy.ruling(FakeHeaders([]), {}, "FR") == Ruling("no_cookie", None)
    # Where nothing may be done without consent, it may be with it.
    assert policy.ruling(FakeHeaders([]), {"gdpr": "1", "gdpr_consent": ALL}, "DE").action == "allow"


def test_a_vendor_is_asked_for_where_one_is_configured() -> None:
    ours = Policy(PrivacyConfig(tcf_vendor=755))
    others = Policy(PrivacyConfig(tcf_vendor=756))
    params = {"gdpr": "1", "gdpr_consent": ALL}
    assert ours.ruling(FakeHeaders([]), params, None).action == "allow"
    assert others.ruling(FakeHeaders([]), params, None).action == "no_identify"
