"""Bits in URL-safe base64, as the IAB's consent strings are written: six a character, most significant first."""

from __future__ import annotations

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
SIX = {character: f"{number:06b}" for number, character in enumerate(ALPHABET)}
LONGEST = 16_384
"""Characters of a string that is looked at; a visitor could send any."""


class Malformed(ValueError):
    """The string cannot be read. For a policy that is no consent."""


class Bits:
    """A string's bits, read from left to right."""

    def __init__(self, text: str) -> None:
        text = text.rstrip("=")
        if len(text) > LONGEST:
            raise Malformed(f"{len(text)} characters are too many for a consent string")
        try:
            self._bits = "".join([SIX[character] for character in text])
        except KeyError as error:
            raise Malformed(f"{error.args[0]!r} is no character of URL-safe base64") from None
        self.at = 0

    def take(self, count: int) -> int:
        """The next ``count`` bits as a number. Malformed at the end."""
        end = self.at + count
        if end > len(self._bits):
            raise Malformed(f"ends at bit {len(self._bits)}, and {end} are needed")
        found = int(self._bits[self.at : end] or "0", 2)
        self.at = end
        return found

    def flags(self, count: int) -> frozenset[int]:
        """The numbers, from 1, of the bits that are set among the next ``count``."""
        start = self.at
        self.take(count)
        return frozenset(n for n, bit in enumerate(self._bits[start : self.at], 1) if bit == "1")

    def fibonacci(self) -> int:
        """A Fibonacci-coded number (Zeckendorf; 11 ends it)."""
        total, a, b = 0, 1, 2
        before = 0
        while True:
            bit = self.take(1)
            if bit and before:
                return total
            total += a * bit
            a, b, before = b, a + b, bit
