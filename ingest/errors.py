"""What can go wrong at the front door.

IngestError
├── Refusal            this request cannot be served; its sender gets the status, the reason and the field
├── NotAcknowledged    Kafka has not confirmed in time: the sender gets a 503 and comes again
│   └── PublisherFull  more waits for Kafka already than memory was set aside for: the same
├── NoCatalog          nothing has been applied yet: `accredit catalog apply FILE`
├── FileUnreadable     a file to load is cut off, damaged, or not what it was taken for; what came before is loaded
├── AlreadyLoading     another process loads the same file: let it, or end it
├── KafkaUnreachable   the catalog log could not be read to its end in time: check the broker's address
├── ConfigInvalid      the operator's ingest.yaml cannot be used: mend the field it names
├── AccessInvalid      the file of keys and postback secrets cannot be used: restore it, or mend its mode
└── CatalogRaced       two applied at once and the other was first: look at its version, apply again
"""

from __future__ import annotations

from collections.abc import Sequence


class IngestError(Exception):
    """Base of everything below."""


class Refusal(IngestError):
    """A request that is answered with ``status`` and a problem document (RFC 9457)."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        field: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.field = field
        self.headers = tuple(headers)


class NotAcknowledged(IngestError):
    """Kafka has not acknowledged with acks=all. Operator: is the broker up, do the topics exist, is its disk full?"""


class PublisherFull(NotAcknowledged):
    """The producer's bounded queue is full: Kafka is slower than what comes in, or away."""

    def __init__(self) -> None:
        super().__init__("the queue to Kafka is full")


class NoCatalog(IngestError):
    """No catalog version is in effect. Operator: `accredit catalog apply FILE`."""

    def __init__(self) -> None:
        super().__init__("no catalog has been applied yet; apply one with: accredit catalog apply FILE")


class ConfigInvalid(IngestError):
    """The operator's file has a field that is unknown or wrong. Operator: mend it where the message says."""


class AccessInvalid(IngestError):
    """``access.json`` is damaged, or open to others. Operator: restore it from a copy, or chmod 600."""


class FileUnreadable(IngestError):
    """A file cannot be read on, or its mapping not be used. Operator: mend it; the same command goes on from there."""


class AlreadyLoading(IngestError):
    """Another `accredit load` holds the same file. Operator: let it finish, or end it; the next goes on from there."""

    def __init__(self) -> None:
        super().__init__("another `accredit load` loads this file now; let it finish, or end it: the next one goes on")


class KafkaUnreachable(IngestError):
    """The catalog log could not be read. Operator: check the broker, its address, and that the topics were created."""


class CatalogRaced(IngestError):
    """Someone else applied a catalog at the same time, and the log has theirs first. Nothing of ours is in effect."""

    def __init__(self, version: int, author: str) -> None:
        super().__init__(
            f"{author} applied version {version} at the same moment and was first; nothing was changed by you. "
            "Look at it with `accredit catalog show`, then apply again."
        )
        self.version = version
        self.author = author
