"""Who may ask: the users file, and whether a request comes from one of its users.

    {"default": {"password": "", "access": "full"},
     "reader":  {"password_sha256_hex": "e3b0…", "access": "read"}}

Written at the first start, for its owner's eyes only; edit it and start again.
"""

import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from pathlib import Path

from deploy.local.clickhouse.errors import ServerError, StartError, authentication_failed


class Access(Enum):
    """What a user may do: everything but reach files of the machine, or read."""

    FULL = "full"
    READ = "read"


@dataclass(frozen=True, slots=True)
class User:
    """One user; `password_sha256` is that of the empty password where none is set."""

    name: str
    access: Access
    password_sha256: bytes

    @property
    def has_password(self) -> bool:
        return self.password_sha256 != _sha256("")


FIRST_USERS = {
    "default": {"password": "", "access": "full"},
    "reader": {"password": "", "access": "read"},
}


def _sha256(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()


class Users:
    """The users of one server."""

    def __init__(self, users: dict[str, User]) -> None:
        self._users = users

    @classmethod
    def load(cls, path: Path) -> "Users":
        """Read the users file, or write the first one. Raises `StartError` naming what is wrong in it."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(json.dumps(FIRST_USERS, indent=2) + "\n")
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise StartError(
                f"cannot read the users file {path}: {error}. Mend it, or delete it to begin anew."
            ) from error
        if not isinstance(content, dict) or not content:
            raise StartError(f"the users file {path} holds no users: expected {json.dumps(FIRST_USERS)}")
        return cls({name: _user(path, name, entry) for name, entry in content.items()})

    def authenticate(self, name: str, password: str) -> User:
        """The user of this name, if the password is right. Raises `ServerError` 516."""
        user = self._users.get(name)
        expected = user.password_sha256 if user else _sha256("no such user")
        if not hmac.compare_digest(expected, _sha256(password)) or user is None:
            raise authentication_failed(name)
        return user

    def check_host(self, host: str) -> None:
        """Refuse to listen beyond this machine while a user has no password. Raises `StartError`."""
        open_users = sorted(user.name for user in self._users.values() if not user.has_password)
        if open_users and not is_loopback(host):
            raise StartError(
                f"will not listen on {host} while {', '.join(open_users)} need no password: set one in the users file, "
                "or listen on 127.0.0.1"
            )

    def check_browser(self, user: User, origin: str, host: str) -> None:
        """Keep web pages from using a user without password through the visitor's browser.

        Any page may send requests to 127.0.0.1, and a name that resolves to it (DNS rebinding) may read the answers.
        """
        if user.has_password:
            return
        hostname = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if origin or (hostname and not is_loopback(hostname.strip("[]"))):
            raise ServerError(
                516,
                "AUTHENTICATION_FAILED",
                f"{user.name}: Authentication failed: a request from a web page, or to a host name other than "
                "localhost, needs a user with a password (see users.json)",
            )


def is_loopback(host: str) -> bool:
    """Whether this address or name is this machine alone."""
    if host in ("localhost", "localhost."):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _user(path: Path, name: str, entry: object) -> User:
    if not isinstance(entry, dict) or entry.get("access") not in ("full", "read"):
        raise StartError(f'{path}: user {name} needs "access": "full" or "read"')
    password, digest = entry.get("password", ""), entry.get("password_sha256_hex")
    try:
        sha256 = bytes.fromhex(digest) if digest is not None else _sha256(password)
    except (TypeError, ValueError, AttributeError):
        sha256 = b""
    if len(sha256) != hashlib.sha256().digest_size:
        raise StartError(f'{path}: user {name} needs "password" as text, or "password_sha256_hex" of 64 hex digits')
    return User(name, Access(entry["access"]), sha256)
