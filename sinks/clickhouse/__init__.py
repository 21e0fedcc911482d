"""The ClickHouse sink: every topic into its table, migrations, views and reports.

run(settings)              the process: reads all topics, inserts, commits; until SIGTERM or SIGINT
migrate(url, database)     the database, tables and views; what was applied
reports.report(client, …)  who got what
"""

from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.process import run
from sinks.clickhouse.settings import FlushPolicy, RetryPolicy, SinkSettings

__all__ = ["FlushPolicy", "RetryPolicy", "SinkSettings", "migrate", "run"]
