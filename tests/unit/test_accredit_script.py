"""The shop's script as it is served: small, cacheable, checked by its hash, nothing that a strict CSP forbids."""

from __future__ import annotations

import gzip
import hashlib
import re
from base64 import b64encode
from pathlib import Path

from click.testing import CliRunner

from console.script import script as command
from ingest.script import PATH, script
from tests.support.front_door import FrontDoor

LIMIT = 3_000
PAGE = Path(__file__).parents[2] / "docs" / "conversion-links.md"


def test_it_is_small() -> None:
    assert len(gzip.compress(script().content, 9)) < LIMIT


def test_it_needs_nothing_that_a_strict_csp_forbids() -> None:
    text = script().content.decode()
    for forbidden in ("eval(", "new Function", ".style", "innerHTML", "document.write", "setTimeout(", "import("):
        assert forbidden not in text


def test_it_is_served_under_both_paths() -> None:
    content, _, path, _ = script()
    for asked, kept in ((PATH, "public, max-age=3600"), (path, "public, max-age=31536000, immutable")):
        said = FrontDoor().ask("GET", asked)
        assert (said.status, said.body) == (200, content)
        assert said.headers["content-type"] == "text/javascript; charset=utf-8"
        assert said.headers["cache-control"] == kept
        assert said.headers["access-control-allow-origin"] == "*"
        again = FrontDoor().ask("GET", asked, headers=[("if-none-match", said.headers["etag"])])
        assert (again.status, again.body) == (304, b"")
    said = FrontDoor().ask("GET", path, headers=[("accept-encoding", "br, gzip")])
    assert said.headers["content-encoding"] == "gzip"
    assert gzip.decompress(said.body) == content
    assert FrontDoor().ask("GET", "/js/accredit.0000000000000000.js").status == 404
    assert FrontDoor().ask("HEAD", path).body == b""


def test_the_command_prints_tag_hash_and_policy() -> None:
    said = CliRunner().invoke(command, ["https://track.example.com/", "shop"]).output
    content, _, path, _ = script()
    integrity = f"sha384-{b64encode(hashlib.sha384(content).digest()).decode()}"
    assert f'<script src="https://track.example.com{path}"' in said
    assert f'integrity="{integrity}" crossorigin="anonymous"' in said
    assert said.partition("\n\n")[0] in PAGE.read_text(), "docs/conversion-links.md shows the tag of another version"
    assert re.search(r"script-src https://track.example.com; connect-src .*; img-src ", said)
