"""The section ``postbacks`` of ingest.yaml: names and status words of an installation's own senders.

::

    postbacks:
      aliases: {adv_sub: order_id, sale_total: amount}
      statuses: {billed: approved, sent_back: reversed}
      remembered: 100000
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ingest.aliases import CONVERSION_ALIASES, CONVERSION_FIELDS

Status = Literal["pending", "approved", "rejected", "reversed"]
STATUS_WORDS: Mapping[str, Status] = {
    **dict.fromkeys(("pending", "hold", "new", "open", "unconfirmed", "lead"), "pending"),
    **dict.fromkeys(("approved", "approve", "accepted", "confirmed", "paid", "sale", "rebill"), "approved"),
    **dict.fromkeys(("rejected", "reject", "declined", "cancelled", "canceled", "trash", "fraud"), "rejected"),
    **dict.fromkeys(("reversed", "reverse", "refunded", "refund", "returned", "chargeback"), "reversed"),
}
"""Every word for a status that is understood, in lower case; ``lead``, ``sale`` and ``rebill`` are Keitaro's."""


def field_of_conversions(name: str) -> str:
    if name not in CONVERSION_FIELDS:
        raise ValueError(f"{name!r} is no field of a conversion; these are: {', '.join(CONVERSION_FIELDS)}")
    return name


class PostbackConfig(BaseModel):
    """What conversion links understand beyond the defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    aliases: Mapping[str, Annotated[str, AfterValidator(field_of_conversions)]] = Field(default_factory=dict)
    """A sender's name → ours. Goes before the default of the same name."""
    statuses: Mapping[str, Status] = Field(default_factory=dict)
    """A sender's word for a status → ours."""
    remembered: int = Field(default=100_000, ge=0, le=10_000_000)
    """Conversions that a process knows again, some 250 bytes each; 0 answers every copy with ``accepted``."""

    def all_aliases(self) -> Mapping[str, str]:
        """The default names and the installation's own."""
        return {**CONVERSION_ALIASES, **self.aliases}

    def all_statuses(self) -> Mapping[str, Status]:
        """The default words and the installation's own, all in lower case."""
        return {**STATUS_WORDS, **{word.lower(): status for word, status in self.statuses.items()}}
