"""What an operator may set of tracking links: the section ``links`` of ``ingest.yaml``."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ingest.aliases import CLICK_ALIASES, CLICK_TARGETS
from schemas.urls import read_web_url


def to_target(value: str) -> str:
    if value not in CLICK_TARGETS:
        raise ValueError(f"{value!r} is none of {', '.join(CLICK_TARGETS)}")
    return value


def to_base_url(value: str) -> str:
    url = read_web_url(value)
    if url is None or url.rest not in ("", "/"):
        raise ValueError(f"{value!r} is not like https://go.example.com, without a path")
    return url.origin


class CookieConfig(BaseModel):
    """The session cookie. ``none`` reaches us from pixels on shop pages as well, ``lax`` from links alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="accredit_sid", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    same_site: Literal["none", "lax"] = "none"


class LinksConfig(BaseModel):
    """``aliases``: a parameter's name → our field, before and beside the built-in ones.

    ``base_url``: the tracking domain as visitors see it, for QR codes and `accredit link`; by default the request's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    aliases: dict[str, Annotated[str, AfterValidator(to_target)]] = Field(default_factory=dict)
    cookie: CookieConfig = Field(default_factory=CookieConfig)
    base_url: Annotated[str, AfterValidator(to_base_url)] | None = None

    @cached_property
    def click_aliases(self) -> dict[str, str]:
        """The whole table."""
        return {**CLICK_ALIASES, **self.aliases}
