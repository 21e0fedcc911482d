"""What can go wrong between the log and ClickHouse.

SinkError
├── Unavailable        ClickHouse, Kafka or the way there is at fault, not the data: tried again until it works
├── Refused            ClickHouse will not have these rows: they are halved until the poisoned record is alone
├── MigrationError     the database is not what this version expects
│   ├── NewerDatabase      a newer version of Accredit has migrated it: upgrade this process
│   └── ChangedMigration   a migration that was applied has another text now: restore the file, add a new one
└── ReportError        a report that cannot be made: the message says which word or table is missing
"""

from __future__ import annotations


class SinkError(Exception):
    """Base of everything below."""


class Unavailable(SinkError):
    """Not the data's fault; the same call can succeed later."""


class Refused(SinkError):
    """ClickHouse read the rows and refused them. ``code`` is its error code."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class MigrationError(SinkError):
    """The database cannot be brought to this version's shape."""


class NewerDatabase(MigrationError):
    """The database has migrations that this version does not know."""

    def __init__(self, database: str, found: int, known: int) -> None:
        super().__init__(
            f"database {database!r} is at migration {found}, this version of Accredit knows {known}: "
            "upgrade this process, or give it a database of its own"
        )


class ChangedMigration(MigrationError):
    """The text of a migration differs from what was applied."""

    def __init__(self, database: str, name: str) -> None:
        super().__init__(
            f"migration {name} was applied to database {database!r} with another text: "
            "an applied migration is never edited; restore it and write a new one"
        )


class ReportError(SinkError):
    """The report asked for cannot be made."""
