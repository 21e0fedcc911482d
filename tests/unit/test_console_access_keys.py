"""`accredit keys`: what is shown once, what is kept, who may have what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.access_keys import keys
from ingest.access.book import AccessBook, read_book
from ingest.access.secrets import digest, same, split_key


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type:
    monkeypatch.setenv("ACCREDIT_DATA", str(tmp_path))

    class Run:
        path = tmp_path / "access.json"

        def __call__(self, *args: str, ok: bool = True, stdin: str | None = None) -> Result:
            result = CliRunner().invoke(keys, list(args), input=stdin)
            assert (result.exit_code == 0) == ok, result.output
            return result

        @property
        def book(self) -> AccessBook:
            return read_book(self.path)

    return Run


def test_created_shown_once_listed_without_its_secret(run: type) -> None:
    ask = run()
    text = ask("create", "--for", "partner:anna", "--note", "their server").stdout.strip()
    parts = split_key(text)
    assert parts is not None
    (kept,) = ask.book.keys
    assert (kept.id, kept.sender.name, kept.scopes) == (parts[0], "partner:anna", {"events:write"})
    assert same(parts[1], kept.sha256)
    assert parts[1] not in ask.path.read_text()
    (row,) = json.loads(ask("list", "--format", "json").stdout)
    assert (row["id"], row["state"], row["note"]) == (kept.id, "live", "their server")


def test_rotated_both_live_then_revoked(run: type) -> None:
    ask = run()
    ask("create", "--for", "operator", "--scope", "catalog:write", "--expires", "30d")
    (first,) = ask.book.keys
    text = ask("rotate", first.id, "--overlap", "1d").stdout.strip()
    old, new = ask.book.keys
    assert text.startswith(f"ak_{new.id}_")
    assert (new.scopes, new.kind) == (first.scopes, first.kind)
    assert old.state(old.created_at) == new.state(new.created_at) == "live"
    assert old.expires_at is not None
    assert old.state(old.expires_at) == "expired"
    assert new.expires_at is not None
    assert new.expires_at - new.created_at == 30 * 86_400_000
    ask("revoke", old.id)
    assert ask.book.keys[0].revoked_at is not None
    ask("rotate", old.id, ok=False)


@pytest.mark.parametrize(
    "args",
    [
        ("create", "--for", "operator"),
        ("create", "--for", "partner:anna", "--scope", "catalog:read"),
        ("create", "--for", "partner:"),
        ("create", "--for", "anna"),
        ("create", "--for", "partner:anna", "--expires", "soon"),
        ("create", "--for", "partner:anna", "--expires", "2001-01-01T00:00:00Z"),
        ("revoke", "unknown"),
        ("rotate", "unknown"),
        ("postback", "shop", "--ip", "10.0.0.1/8"),
        ("postback", "shop", "--forget-ip", "10.0.0.0/8"),
    ],
)
def test_mistakes_change_nothing(run: type, args: tuple[str, ...]) -> None:
    ask = run()
    ask(*args, ok=False)
    assert not ask.path.exists()


def test_postback_proofs_are_added_ended_and_opened(run: type) -> None:
    ask = run()
    assert "nothing" in ask("postback", "shop").stdout
    token = ask("postback", "shop", "--token").stdout.splitlines()[0]
    ask("postback", "shop", "--token-from", "-", stdin="the-token-of-their-old-tracker\n")
    secret = ask("postback", "shop", "--hmac", "--ip", "203.0.113.7", "--pixel").stdout.splitlines()[0]
    auth = ask.book.advertisers["shop"]
    assert [each.sha256 for each in auth.tokens] == [digest(token), digest("the-token-of-their-old-tracker")]
    assert [each.secret for each in auth.hmac] == [secret]
    assert [str(each) for each in auth.addresses] == ["203.0.113.7/32"]
    assert auth.pixel
    for each in (*auth.tokens, *auth.hmac):
        ask("revoke", each.id)
    auth = ask.book.advertisers["shop"]
    assert auth.proves
    assert [each.expires_at is not None for each in (*auth.tokens, *auth.hmac)] == [True] * 3
    ask("postback", "shop", "--open")
    assert not ask.book.advertisers["shop"].proves
    ask("postback", "shop", "--token-from", "-", stdin="short", ok=False)
