"""The environment, read once, here and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from console.errors import ConsoleError

DEFAULT_DATA = Path("data")
LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """What ``ACCREDIT_…`` variables say; options of a command go before them."""

    model_config = SettingsConfigDict(env_prefix="ACCREDIT_", frozen=True, extra="ignore", env_ignore_empty=True)

    data: Path = DEFAULT_DATA
    """``ACCREDIT_DATA``: the folder of the installation on this machine."""
    kafka: str | None = None
    """``ACCREDIT_KAFKA``: ``host:port`` of a broker to use instead of the local one."""
    clickhouse: str | None = None
    """``ACCREDIT_CLICKHOUSE``: ``http://user:password@host:8123`` of a server to use instead of the local one."""
    log_format: Literal["auto", "text", "json"] = "auto"
    """``ACCREDIT_LOG_FORMAT``: auto is text in a terminal, JSON lines otherwise."""
    log_level: LogLevel = "info"
    """``ACCREDIT_LOG_LEVEL``"""

    @field_validator("kafka")
    @classmethod
    def broker_address(cls, value: str | None) -> str | None:
        """``host:port``, several with commas."""
        for part in (value or "").split(",") if value else ():
            host, _, port = part.strip().rpartition(":")
            if not host or not port.isdigit():
                raise ValueError(f"{part!r} is not host:port")
        return value

    @field_validator("clickhouse")
    @classmethod
    def http_address(cls, value: str | None) -> str | None:
        """An http or https URL with a host."""
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"{value!r} is not a URL like http://user:password@host:8123")
        return value


def read_settings() -> Settings:
    """The settings of this process. ConsoleError names the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "ACCREDIT_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConsoleError(f"{name}: {first['msg'].removeprefix('Value error, ')}; mend or unset it.") from None


def environment_with(**accredit: str) -> dict[str, str]:
    """This process's environment for a child; a keyword ``data`` sets ``ACCREDIT_DATA`` in it."""
    ours = {f"ACCREDIT_{name.upper()}": value for name, value in accredit.items()}
    return {**os.environ, "PYTHONUNBUFFERED": "1", **ours}


def without_password(url: str) -> str:
    """The URL for a person's eyes: a password in it becomes ``***``."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))
