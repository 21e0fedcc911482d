"""The database and its tables and views: numbered SQL files, applied in order, each once.

Every statement of a file can be repeated (IF NOT EXISTS), and a file is recorded after its last statement. So two
processes that migrate at once both succeed, and one that dies in the middle is finished by the next.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from importlib import resources

import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from sinks.clickhouse.errors import ChangedMigration, MigrationError, NewerDatabase, Unavailable
from sinks.clickhouse.target import ENVIRONMENT, connect, first_line

log = structlog.get_logger(__name__)

FILE_NAME = re.compile(r"(\d{3})_\w+\.sql")
DATABASE_NAME = re.compile(r"[A-Za-z_]\w*")
TABLE_ALREADY_EXISTS = 57
UNKNOWN_DATABASE = 81
RACE_ATTEMPTS = 5

RECORDS = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32,
    name String,
    sha256 String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY number
SETTINGS non_replicated_deduplication_window = 0
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migrations folder."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Sum of the text: an applied migration is never edited."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """Its statements; each ends with a semicolon at a line's end."""
        return [part.strip() for part in re.split(r";[ \t]*\n", self.text + "\n") if without_comments(part).strip()]


def without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)


def known_migrations() -> list[Migration]:
    """The migrations of this version, in order. ValueError if a number is missing or taken twice."""
    folder = resources.files("sinks.clickhouse") / "migrations"
    found = []
    for file in folder.iterdir():
        if name := FILE_NAME.fullmatch(file.name):
            found.append(Migration(int(name[1]), file.name, file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations are not numbered 1, 2, 3, …: {[migration.name for migration in found]}")
    return found


def migrate(url: str, database: str = "accredit") -> tuple[str, ...]:
    """Bring the database at ``url`` to this version's shape; the names of the migrations that were applied now.

    Needs the rights to create a database, tables and views, and none over users. Raises Unavailable, NewerDatabase,
    ChangedMigration, MigrationError.
    """
    if not DATABASE_NAME.fullmatch(database):
        raise MigrationError(f"{database!r} is no name for a database: letters, digits and _ only")
    client = connect(url, None)
    try:
        run(client, f"CREATE DATABASE IF NOT EXISTS {database}")
        client.database = database
        run(client, RECORDS)
        return apply(client, database, known_migrations())
    except ClickHouseError as error:
        raise Unavailable(first_line(error)) from error
    finally:
        client.close()


def apply(client: Client, database: str, known: list[Migration]) -> tuple[str, ...]:
    recorded = client.query("SELECT number, name, sha256 FROM schema_migrations FINAL").result_rows
    applied = {int(number): (str(name), str(sha256)) for number, name, sha256 in recorded}
    newest = max(applied, default=0)
    if newest > len(known):
        raise NewerDatabase(database, newest, len(known))
    done = []
    for migration in known:
        if migration.number in applied:
            if applied[migration.number][1] != migration.sha256:
                raise ChangedMigration(database, migration.name)
            continue
        for statement in migration.statements:
            run(client, statement)
        client.insert(
            "schema_migrations",
            [[migration.number, migration.name, migration.sha256]],
            column_names=["number", "name", "sha256"],
            settings={"async_insert": 0},
        )
        log.info("migration_applied", database=database, migration=migration.name)
        done.append(migration.name)
    return tuple(done)


def run(client: Client, statement: str) -> None:
    """One statement. Another process that creates the same at this moment is no error."""
    for attempt in range(RACE_ATTEMPTS):
        try:
            client.command(statement)
        except ClickHouseError as error:
            code = getattr(error, "code", None)
            if code == TABLE_ALREADY_EXISTS and attempt < RACE_ATTEMPTS - 1:
                time.sleep(0.05 * (attempt + 1))
                continue
            if code is None or (code in ENVIRONMENT and code != UNKNOWN_DATABASE):
                raise Unavailable(first_line(error)) from error
            raise MigrationError(f"{first_line(error)} in: {statement[:200]}") from error
        except (HTTPError, OSError) as error:
            raise Unavailable(first_line(error)) from error
        return
