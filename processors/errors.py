"""Why a worker stops, and what it mends by itself.

    ProcessorError
    ├── StoreDamaged          a partition's store cannot be read: set aside and rebuilt from the log, nothing to do
    └── WorkerStopped         the worker ends with exit code 1; its supervisor starts it again
        ├── TopicsUnfit       a topic is missing, or clicks and conversions differ in partitions: create the topics
        ├── KafkaGone         Kafka took nothing for longer than `delivery_timeout_s`: start the broker
        ├── HistoryGone       ClickHouse, asked for older touches, never answered: start it
        ├── CatalogUnreadable the catalog log holds something that is no catalog: see which version, apply a new one
        ├── StoreFull         the disk with the state folder is full: make room
        ├── StoreInUse        another worker has the state folder open: give each its own
        ├── StoreUnavailable  the state folder cannot be written or opened: see its rights and limits
        └── WorkerBroken      a fault of our own: please report it with the log

Every message names the thing, the value and the way out; it is meant to be shown to the operator as it is.
"""

from __future__ import annotations

from pathlib import Path


class ProcessorError(Exception):
    """Base of everything below."""


class StoreDamaged(ProcessorError):
    """A store's files are not what RocksDB wrote. It is a cache: it goes aside and the log fills a new one."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"the store {path} is damaged: {detail}")
        self.path = path


class WorkerStopped(ProcessorError):
    """The worker cannot go on here and now. After a restart it continues exactly where it was."""


class TopicsUnfit(WorkerStopped):
    """The topics are not those that the worker needs. Operator: create them as ``schemas.topics`` lists them."""


class KafkaGone(WorkerStopped):
    """Kafka did not take our records, or never answered. Operator: see that the broker runs at that address."""

    def __init__(self, kafka: str, detail: str) -> None:
        super().__init__(f"Kafka at {kafka}: {detail}. See that it runs; the worker goes on when it is started again.")


class HistoryGone(WorkerStopped):
    """Older touches are in ClickHouse, and it did not answer. Operator: see that it runs at that address."""

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(f"ClickHouse's history of older touches is away ({detail}). See that it runs: {url}")


class CatalogUnreadable(WorkerStopped):
    """A version of the catalog log is no catalog. Operator: see ``accredit catalog history``."""


class StoreFull(WorkerStopped):
    """No space left for the state. Operator: make room and start the worker; nothing is lost."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"no space left for the store {path} ({detail}); make room and start the worker again.")


class StoreInUse(WorkerStopped):
    """Two workers share a state folder. Operator: give each its own."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"the store {path} is open in another process; give each worker a state folder of its own.")


class StoreUnavailable(WorkerStopped):
    """The operating system refuses the state folder. Operator: see its rights, the file limit, the disk."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"the store {path} cannot be used: {detail}")


class WorkerBroken(WorkerStopped):
    """Something that must not happen. Operator: keep the log and report it."""
