"""The services of one machine, with nothing installed by hand.

What to import from here:

- `deploy.local.kafka`: `Kafka`, Apache Kafka as a child process.
- `deploy.local.clickhouse`: ClickHouse's HTTP interface over chDB, a process of its own.
- `deploy.local.process`: `Child`, any child process that is stopped in order and never outlives its parent.
- `deploy.local.ports`: `PortBook` and `free_port`, loopback ports that stay the same from start to start.
- `deploy.local.errors`: everything that these raise.

Nothing is imported by this module itself: a process that needs one service does not load the others' libraries.
"""
