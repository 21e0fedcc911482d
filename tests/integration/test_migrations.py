"""Migrations on the real engine: once each, by two at a time, and never past what is known."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from sinks.clickhouse import migrate
from sinks.clickhouse.errors import ChangedMigration, MigrationError, NewerDatabase, Unavailable
from sinks.clickhouse.migrate import known_migrations

pytestmark = pytest.mark.integration
ALL = tuple(migration.name for migration in known_migrations())


@pytest.fixture
def client(clickhouse: str) -> Iterator[Client]:
    client = clickhouse_connect.get_client(dsn=clickhouse, autogenerate_session_id=False)
    yield client
    client.close()


def test_applied_once_and_recorded(clickhouse: str, client: Client) -> None:
    assert migrate(clickhouse, "migrated_once") == ALL
    assert migrate(clickhouse, "migrated_once") == ()
    recorded = client.query("SELECT name FROM migrated_once.schema_migrations FINAL ORDER BY number").result_rows
    assert tuple(row[0] for row in recorded) == ALL


def test_two_at_once_both_succeed(clickhouse: str, client: Client) -> None:
    errors: list[BaseException] = []

    def one() -> None:
        try:
            migrate(clickhouse, "migrated_twice")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert client.command("SELECT count() FROM migrated_twice.schema_migrations FINAL") == len(ALL)
    assert client.command("SELECT count() FROM migrated_twice.v_credits") == 0


def test_one_that_died_in_the_middle_is_finished(clickhouse: str, client: Client) -> None:
    migrate(clickhouse, "migrated_half")
    client.command("DROP VIEW migrated_half.v_credits")
    client.command("DELETE FROM migrated_half.schema_migrations WHERE number = 2", settings={"mutations_sync": 2})
    assert migrate(clickhouse, "migrated_half") == ALL[1:2]
    assert client.command("SELECT count() FROM migrated_half.v_credits") == 0


def test_a_newer_database_is_left_alone_and_said(clickhouse: str, client: Client) -> None:
    migrate(clickhouse, "migrated_newer")
    client.command("INSERT INTO migrated_newer.schema_migrations (number, name, sha256) VALUES (99, '099_x.sql', '')")
    with pytest.raises(NewerDatabase, match=r"'migrated_newer' is at migration 99.*upgrade"):
        migrate(clickhouse, "migrated_newer")


def test_an_edited_migration_is_said(clickhouse: str, client: Client) -> None:
    migrate(clickhouse, "migrated_edited")
    client.command(
        "INSERT INTO migrated_edited.schema_migrations (number, name, sha256) VALUES (1, '001_tables.sql', 'other')"
    )
    with pytest.raises(ChangedMigration, match=r"001_tables\.sql"):
        migrate(clickhouse, "migrated_edited")


def test_a_bad_name_and_an_absent_server_are_said(clickhouse: str) -> None:
    with pytest.raises(MigrationError, match="no name for a database"):
        migrate(clickhouse, "a; DROP DATABASE b")
    with pytest.raises(Unavailable):
        migrate("http://127.0.0.1:1")
