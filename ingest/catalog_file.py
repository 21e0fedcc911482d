"""The catalog versions that still matter, in a file of the data folder: a process that starts while Kafka is away
serves by them until it has read the catalog log. The log is the truth; the file is a copy that may be deleted.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import structlog

from schemas.codec import decode, encode
from schemas.errors import BadFrame
from schemas.records import CatalogVersion

log = structlog.get_logger(__name__)

NAME = "catalog.kept"
HEAD = struct.Struct(">II")


def keep_versions(path: Path, versions: Sequence[CatalogVersion]) -> None:
    """Replace the file as a whole. A failure is said and costs nothing but the next start without Kafka."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    records = [encode(version) for version in versions]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            for record in records:
                file.write(HEAD.pack(len(record), zlib.crc32(record)) + record)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        log.error("catalog_not_kept", path=str(path), error=str(error))


def kept_versions(path: Path) -> list[CatalogVersion]:
    """What was kept, oldest first; nothing where there is no file or it is damaged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        log.error("kept_catalog_unreadable", path=str(path), error=str(error))
        return []
    versions: list[CatalogVersion] = []
    at = 0
    while at < len(data):
        version, at = next_version(data, at)
        if version is None:
            log.error("kept_catalog_unreadable", path=str(path), error="it is damaged")
            return []
        versions.append(version)
    return versions


def next_version(data: bytes, at: int) -> tuple[CatalogVersion | None, int]:
    """The version at ``at``, None for a damaged one, and where the next begins."""
    if at + HEAD.size > len(data):
        return None, len(data)
    size, checksum = HEAD.unpack_from(data, at)
    record = data[at + HEAD.size : at + HEAD.size + size]
    if len(record) != size or zlib.crc32(record) != checksum:
        return None, len(data)
    try:
        version = decode(record)
    except BadFrame:
        return None, len(data)
    return version if isinstance(version, CatalogVersion) else None, at + HEAD.size + size
