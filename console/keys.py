"""The keys that sign click ids: ``DIR/keys.json``, made at the first start, readable for its owner alone.

A new key signs from the next start of the ingest processes on; older ones go on verifying what they have signed, for as
long as they stay in the file.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import click

from console.errors import ConsoleError
from console.options import data_option
from schemas.ids import ClickIdKeys

FILE = "keys.json"
SECRET_BYTES = 32
KEY_IDS = 256


def load_keys(data: Path) -> ClickIdKeys:
    """The keys of the installation in ``data``; made if there are none yet. ConsoleError if the file is damaged."""
    path = data / FILE
    if not path.exists():
        write_keys(path, ClickIdKeys(1, {1: secrets.token_bytes(SECRET_BYTES)}), new=True)
    try:
        return parse_keys(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConsoleError(
            f"{path} does not hold signing keys ({error!r}). Restore it from a copy: without its keys the click ids "
            "that were handed out cannot be verified."
        ) from None


def parse_keys(found: Any) -> ClickIdKeys:
    """``{"current": 1, "keys": {"1": "hex"}}`` as keys. ValueError, KeyError or TypeError otherwise."""
    keys = {int(key_id): bytes.fromhex(secret) for key_id, secret in found["keys"].items()}
    if found["current"] not in keys:
        raise ValueError(f"current key {found['current']} is not among them")
    if any(not 0 <= key_id < KEY_IDS or len(secret) < SECRET_BYTES for key_id, secret in keys.items()):
        raise ValueError("a key id is not 0 to 255, or a secret is shorter than 32 bytes")
    return ClickIdKeys(found["current"], keys)


def write_keys(path: Path, keys: ClickIdKeys, *, new: bool = False) -> None:
    """Write the file whole; ``new`` leaves one alone that another process has just made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"current": keys.current, "keys": {str(i): secret.hex() for i, secret in keys.keys.items()}}
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    if not new:
        fresh.replace(path)
        return
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def rotated(keys: ClickIdKeys) -> ClickIdKeys:
    """The keys with a new current one. ConsoleError when all 256 ids are taken."""
    later = (i % KEY_IDS for i in range(keys.current + 1, keys.current + KEY_IDS))
    free = next((i for i in later if i not in keys.keys), None)
    if free is None:
        raise ConsoleError("all 256 key ids are in use: take keys out of keys.json whose click ids have run out.")
    return ClickIdKeys(free, {**keys.keys, free: secrets.token_bytes(SECRET_BYTES)})


@click.group("click-keys")
def click_keys() -> None:
    """The keys that sign click ids (transaction ids).

    \b
    Sign with a new key from the next start of ingest on; ids that were handed out stay valid:
        accredit click-keys rotate
    """


@click_keys.command()
@data_option
def rotate(data: Path | None) -> None:
    """Add a new signing key; the older ones go on verifying."""
    from console.settings import read_settings

    folder = data or read_settings().data
    fresh = rotated(load_keys(folder))
    write_keys(folder / FILE, fresh)
    click.echo(
        f"key {fresh.current} signs from the next start of ingest on; {len(fresh.keys)} keys verify. "
        f"Keep a copy of {folder / FILE}: without it the click ids that were handed out cannot be verified."
    )
