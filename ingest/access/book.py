"""``access.json``: every API key and every advertiser's postback secrets, in one file for its owner alone (0600).

API keys and tokens are there as hashes. A signature's secret has to be known to check it, so it is there as it is:
the file's mode is what protects it, as it does ``keys.json`` beside it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ingest.access.sender import Kind, Scope, Sender
from ingest.errors import AccessInvalid

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lived(Entry):
    """Something with an id and a life. Times in milliseconds; ``expires_at`` is the first moment it is dead."""

    id: str
    created_at: int
    expires_at: int | None = None

    def live(self, now: int) -> bool:
        return self.expires_at is None or now < self.expires_at


class ApiKey(Lived):
    """A key's record. One that was revoked stays, so that a list says so, and an installation never opens by itself."""

    kind: Kind
    tenant: str | None = None
    """The partner's or advertiser's id; None for the operator's."""
    scopes: frozenset[Scope]
    sha256: Sha256
    note: str | None = None
    revoked_at: int | None = None

    @property
    def sender(self) -> Sender:
        """Who it speaks for."""
        return Sender(self.kind, self.tenant, frozenset(self.scopes), self.id)

    def state(self, now: int) -> str:
        """``live``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "live" if self.live(now) else "expired"


class Token(Lived):
    """A token that a postback brings."""

    sha256: Sha256


class SigningSecret(Lived):
    """A secret that signs postbacks, in hex as the advertiser has it."""

    secret: str = Field(min_length=32, repr=False)


class PostbackAuth(Entry):
    """How an advertiser's postbacks prove themselves: all kinds that are there must hold, one of each kind is enough.

    ``pixel``: whether conversions from visitors' browsers, which can prove nothing, are taken in production too.
    """

    tokens: tuple[Token, ...] = ()
    hmac: tuple[SigningSecret, ...] = ()
    addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    pixel: bool | None = None

    @property
    def proves(self) -> bool:
        """Whether anything is asked of its postbacks."""
        return bool(self.tokens or self.hmac or self.addresses)


class AccessBook(Entry):
    """The file's content."""

    keys: tuple[ApiKey, ...] = ()
    advertisers: Mapping[str, PostbackAuth] = {}


def read_book(path: Path) -> AccessBook:
    """The book; an empty one where there is no file. AccessInvalid for a file that is damaged or open to others."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise AccessInvalid(f"{path} can be read by others: its secrets may be known. Do: chmod 600 {path}")
            return AccessBook.model_validate_json(file.read())
    except FileNotFoundError:
        return AccessBook()
    except OSError as error:
        raise AccessInvalid(f"{path}: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AccessInvalid(f"{path} is damaged ({where or 'JSON'}: {first['msg']}); restore it from a copy") from None


def write_book(path: Path, book: AccessBook) -> None:
    """Replace the file as a whole; whoever reads it sees the old one or the new one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(book.model_dump_json(indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@contextmanager
def editing(path: Path) -> Iterator[list[AccessBook]]:
    """The book to be changed: put the new one in place of the list's only item. One editor at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path.with_name(f"{path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held = [read_book(path)]
        before = held[0]
        yield held
        if held[0] is not before:
            write_book(path, held[0])
