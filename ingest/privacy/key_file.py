"""``DIR/privacy.json``: the keys that seal personal fields, and the record of every erasure.

Every ingest process of an installation needs the same file, and reads it again when it is replaced. A copy of it from
before an erasure can still open what was erased: keep backups of it apart, and as short as the law asks.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

from ingest.edge.watched import Watched
from ingest.errors import ConfigInvalid
from schemas.key_tree import NODE_BYTES, KeyTree
from schemas.sealing import Sealer

FILE = "privacy.json"
SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Erasure:
    """Who had what forgotten, and when. ``digest`` is keyed: it can be compared with a name, and leads to none."""

    at: int
    by: str
    kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What stands in the file."""

    salt: bytes
    nodes: dict[str, bytes]
    erasures: tuple[Erasure, ...] = ()

    def sealer(self) -> Sealer:
        """Seals and opens with these keys."""
        return Sealer(KeyTree(self.nodes), self.salt)

    def text(self) -> str:
        """As JSON."""
        nodes = {path: node.hex() for path, node in self.nodes.items()}
        erasures = [{"at": e.at, "by": e.by, "kind": e.kind, "digest": e.digest} for e in self.erasures]
        return json.dumps({"salt": self.salt.hex(), "nodes": nodes, "erasures": erasures}, indent=0)


def parse_key_file(content: Any) -> KeyFile:
    """The content of the file. ValueError when it is damaged."""
    try:
        nodes = {path: bytes.fromhex(node) for path, node in content["nodes"].items()}
        erasures = tuple(Erasure(**erasure) for erasure in content["erasures"])
        salt = bytes.fromhex(content["salt"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it does not hold privacy keys ({error!r})") from None
    if len(salt) != SALT_BYTES or any(len(node) != NODE_BYTES for node in nodes.values()):
        raise ValueError(f"its salt or one of its nodes has not {NODE_BYTES} bytes")
    return KeyFile(salt, nodes, erasures)


def read_key_file(path: Path) -> KeyFile:
    """ValueError or OSError when it cannot be used."""
    return parse_key_file(json.loads(path.read_text()))


def make_key_file(path: Path) -> None:
    """Make one if there is none; another process may do so at the same moment. OSError."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = written(path, KeyFile(secrets.token_bytes(SALT_BYTES), {"": secrets.token_bytes(NODE_BYTES)}))
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """One changer at a time."""
    with path.with_suffix(".lock").open("a") as lock:
        flock(lock, LOCK_EX)
        yield


def replace_key_file(path: Path, keys: KeyFile) -> None:
    """Durably in place of the old one, whose bytes are overwritten where the file system lets us."""
    fresh = written(path, keys)
    with path.open("r+b") as old:
        fresh.replace(path)
        old.write(b"\0" * os.fstat(old.fileno()).st_size)
        old.flush()
        os.fsync(old.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def written(path: Path, keys: KeyFile) -> Path:
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(keys.text())
        file.flush()
        os.fsync(file.fileno())
    return fresh


class LiveSealer:
    """The sealer of a process that serves: ``now`` is the one of the file as last read."""

    def __init__(self, path: Path) -> None:
        """ConfigInvalid names a file that cannot be used."""
        try:
            make_key_file(path)
        except OSError as error:
            raise ConfigInvalid(f"{path}: {error}") from None
        self._file = Watched(path, lambda there: read_key_file(there).sealer())
        self.now = self._file.content

    def look(self, now: int) -> None:
        """Take up another file, at most every five seconds."""
        if self._file.look(now):
            self.now = self._file.content


def forgotten(keys: KeyFile, subjects: Iterable[tuple[str, str]], by: str, at: int) -> KeyFile:
    """The keys without those of ``subjects`` (kind and name), and with the record of who had them forgotten.

    A subject whose key is gone already adds nothing.
    """
    sealer = keys.sealer()
    tree, erasures = sealer.tree, []
    for kind, name in subjects:
        leaf = sealer.leaf(kind, name)
        if tree.key(leaf) is None:
            continue
        tree = tree.without(leaf)
        digest = hashlib.sha256(keys.salt + f"erasure\0{kind}\0{name}".encode()).hexdigest()[:32]
        erasures.append(Erasure(at, by, kind, digest))
    return KeyFile(keys.salt, dict(tree.nodes), (*keys.erasures, *erasures))
