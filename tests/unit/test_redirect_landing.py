"""Landing URLs: macros, percent-encoding, nothing that breaks a header."""

from __future__ import annotations

import pytest

from ingest.landing import LandingUrl

VALUES = {"transaction_id": "abc-_123", "sub1": "a b/c?d=e&f#g%h", "sub2": "ü", "sub3": None, "sub4": "\r\nX: y"}


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("https://a.example/", "https://a.example/"),
        ("https://a.example/?t={transaction_id}", "https://a.example/?t=abc-_123"),
        ("https://a.example/?s={sub1}", "https://a.example/?s=a%20b%2Fc%3Fd%3De%26f%23g%25h"),
        ("https://a.example/{sub2}/{sub3}/{unknown}!", "https://a.example/%C3%BC//!"),
        ("https://a.example/?s={sub4}", "https://a.example/?s=%0D%0AX%3A%20y"),
        ("https://a.example/ü x?a=%20&b={}&c={1}", "https://a.example/%C3%BC%20x?a=%20&b=%7B%7D&c=%7B1%7D"),
        ("https://a.example/\r\nEvil: 1", "https://a.example/%0D%0AEvil:%201"),
        ("{transaction_id}{transaction_id}", "abc-_123abc-_123"),
    ],
)
def test_fill(template: str, url: str) -> None:
    filled = LandingUrl(template).fill(VALUES)
    assert filled == url
    assert filled.isascii()
