"""A key for every subject out of one secret, each of which can be destroyed alone: a puncturable tree of keys.

The tree of Goldreich, Goldwasser and Micali (1986): a node's child is a one-way function of the node, a leaf's key is
reached from the root in nine steps. To destroy one leaf's key the nodes on its path give way to their siblings, which
lead to every other leaf and not to this one. So a key costs no storage until it is destroyed, and 135 nodes then.

A path has 36 bits of a keyed hash of the subject's name. Two subjects share a leaf once in 69 billion pairs; destroying
one destroys the other's, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

DEPTH: Final = 9
DIGITS: Final = "0123456789abcdef"
NODE_BYTES: Final = 16
WARM_DEPTH: Final = 4
"""Nodes of this depth, 65,536 at most, are kept once they were reached: four steps less for most keys."""
STEPS: Final = {digit: digit.encode() for digit in DIGITS}


class KeyTree:
    """``nodes``: path (hex digits, "" for the root) to 16 secret bytes. No node stands below another."""

    def __init__(self, nodes: Mapping[str, bytes]) -> None:
        self.nodes = nodes
        self._lengths = sorted({len(path) for path in nodes})
        self._warm: dict[str, bytes] = {}

    def key(self, leaf: str) -> bytes | None:
        """The key of a leaf, nine hex digits; None when it was destroyed."""
        warm = self._warm.get(leaf[:WARM_DEPTH])
        if warm is not None:
            return descend(warm, leaf[WARM_DEPTH:])
        for length in self._lengths:
            node = self.nodes.get(leaf[:length])
            if node is None:
                continue
            if length > WARM_DEPTH:
                return descend(node, leaf[length:])
            warm = self._warm[leaf[:WARM_DEPTH]] = descend(node, leaf[length:WARM_DEPTH])
            return descend(warm, leaf[WARM_DEPTH:])
        return None

    def without(self, leaf: str) -> KeyTree:
        """The tree in which this leaf has no key and every other has the key it had."""
        nodes = dict(self.nodes)
        for length in self._lengths:
            node = nodes.pop(leaf[:length], None)
            if node is None:
                continue
            for depth in range(length, DEPTH):
                nodes |= {leaf[:depth] + d: child(node, d) for d in DIGITS if d != leaf[depth]}
                node = child(node, leaf[depth])
            break
        return KeyTree(nodes)


def child(node: bytes, digit: str) -> bytes:
    return hashlib.blake2s(node + STEPS[digit]).digest()[:NODE_BYTES]


def descend(node: bytes, path: str) -> bytes:
    blake2s, steps = hashlib.blake2s, STEPS  # half the price of sha256 for so few bytes
    for digit in path:
        node = blake2s(node + steps[digit]).digest()[:NODE_BYTES]
    return node
