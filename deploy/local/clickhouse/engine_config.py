"""The engine's configuration files, written anew at each start.

Rights are ClickHouse's own: the embedded engine knows one user, so the two kinds of users of this server are two
roles, one of which each connection takes before it runs anything.
"""

import uuid
from pathlib import Path

CONFIG_FILE = "engine.xml"  # not config.xml: chDB, when imported, opens one of that name in the working folder
USERS_FILE = "engine-users.xml"
OWNER_ROLE = "accredit_owner"
READING_ROLE = "accredit_reading"

_OWNER_GRANTS = (
    "SHOW, SELECT, INSERT, ALTER, CREATE, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, KILL QUERY, SYSTEM, dictGet, "
    "INTROSPECTION, CLUSTER, URL, REMOTE, S3, MYSQL, POSTGRES"
)
"""Everything about databases, and sources over the network; not FILE and its like, since the embedded engine would
open any file of the machine where a server opens only those of its own folder."""

_OWNER_TABLE_ENGINES = (
    "Memory, Null, Set, Join, Buffer, Distributed, Dictionary, Merge, Log, TinyLog, StripeLog, GenerateRandom, "
    "URL, S3, MySQL, PostgreSQL"
)
"""Beside the MergeTree family and views, which need no grant. Not File, for the same reason."""

EMBEDDED_DATABASE = "embedded"
"""Where the embedded engine's own default database goes: it overlays the working folder's files over the tables, so
that an unknown table would be looked for as a file. `default` is a plain Atomic database, as on a server."""

_MIB = 1024 * 1024


def write(folder: Path, memory_bytes: int) -> None:
    """Write both files into `folder`; `memory_bytes` bounds the engine, three quarters of it one query.

    Before the first start the database `default` is laid down in `folder/data`: the engine needs it to be there when it
    opens with another default database. The link `metadata/default` must not be: the embedded engine's own database
    takes the id of what it points to, and two of one id end the process. The engine makes it anew.
    """
    metadata = folder / "data" / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    if not (metadata / "default.sql").exists():
        (metadata / "default.sql").write_text(f"ATTACH DATABASE _ UUID '{uuid.uuid4()}'\nENGINE = Atomic\n")
    if (metadata / "default").is_symlink():
        (metadata / "default").unlink()
    (folder / CONFIG_FILE).write_text(_config(memory_bytes))
    (folder / USERS_FILE).write_text(_users(memory_bytes * 3 // 4))


def _config(memory_bytes: int) -> str:
    return f"""<clickhouse>
    <max_server_memory_usage>{memory_bytes}</max_server_memory_usage>
    <mark_cache_size>{128 * _MIB}</mark_cache_size>
    <index_mark_cache_size>{32 * _MIB}</index_mark_cache_size>
    <background_pool_size>2</background_pool_size>
    <background_move_pool_size>1</background_move_pool_size>
    <background_fetches_pool_size>1</background_fetches_pool_size>
    <background_common_pool_size>2</background_common_pool_size>
    <background_schedule_pool_size>4</background_schedule_pool_size>
    <background_message_broker_schedule_pool_size>1</background_message_broker_schedule_pool_size>
    <background_distributed_schedule_pool_size>1</background_distributed_schedule_pool_size>
    <default_database>{EMBEDDED_DATABASE}</default_database>
    <access_control_improvements>
        <table_engines_require_grant>true</table_engines_require_grant>
    </access_control_improvements>
    <users_config>{USERS_FILE}</users_config>
</clickhouse>
"""


def _users(query_memory_bytes: int) -> str:
    # implicit_select is the embedded engine's own habit (`1 + 1` is a query); a server does not have it.
    # async_insert: an acknowledged insert is a part on disk.
    engines = "".join(f"<query>GRANT TABLE ENGINE ON {name}</query>" for name in _OWNER_TABLE_ENGINES.split(", "))
    return f"""<clickhouse>
    <profiles>
        <default>
            <implicit_select>0</implicit_select>
            <async_insert>0</async_insert>
            <max_memory_usage>{query_memory_bytes}</max_memory_usage>
            <constraints><dialect><const/></dialect><implicit_select><const/></implicit_select></constraints>
        </default>
    </profiles>
    <roles>
        <{OWNER_ROLE}><grants>
            <query>GRANT {_OWNER_GRANTS} ON *.*</query>
            {engines}
        </grants></{OWNER_ROLE}>
        <{READING_ROLE}><grants><query>GRANT SHOW, SELECT, dictGet ON *.*</query></grants></{READING_ROLE}>
    </roles>
    <quotas><default/></quotas>
    <users>
        <default>
            <password/>
            <networks><ip>::/0</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <grants><query>GRANT {OWNER_ROLE}, {READING_ROLE}</query></grants>
        </default>
    </users>
</clickhouse>
"""
