"""Who is to be forgotten: the sessions and customers that belong together, and what was known of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.customer import customer_hash
from schemas.sealing import SEALED, Sealer

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

COMMON = ("ip", "user_agent")
"""Shared by many: looked for in the subject's own records only."""
TELLING = 8
"""A shorter value would be found by chance."""


@dataclass(frozen=True, slots=True)
class Subject:
    """``sessions``: UUID text; ``customers``: names, not pseudonyms; ``values``: what is looked for everywhere."""

    sessions: frozenset[str]
    customers: frozenset[str]
    values: frozenset[str]

    def keyed(self) -> Iterator[tuple[str, str]]:
        """Kind and name of every key that is to go."""
        yield from (("session", name) for name in sorted(self.sessions))
        yield from (("customer", name) for name in sorted(self.customers))


def find_subject(client: Client, sealer: Sealer, sessions: Collection[str], customers: Collection[str]) -> Subject:
    """What belongs to the sessions and customers that were named.

    A customer's sessions are those of its conversions; a session's customers are those of its conversions, but not
    those customers' other sessions.
    """
    names = {form for customer in customers for form in (customer, customer_hash(customer))}
    pseudonyms = {made for name in names if (made := sealer.pseudonym(name)) is not None}
    all_sessions = set(sessions)
    if names:
        all_sessions |= sessions_of(client, names | pseudonyms)
    values = {value for value in names if not sealer.is_pseudonym(value)}
    for session_id, sealed in sealed_of(client, all_sessions):
        opened = sealer.open(session_id, sealed)
        if opened is None:
            continue
        if isinstance(customer := opened.get("customer_id"), str):
            names.add(customer)
            values.add(customer)
        values |= set(telling(opened))
    names = {name for name in names if not sealer.is_pseudonym(name)}
    return Subject(frozenset(all_sessions), frozenset(names), frozenset(v for v in values if len(v) >= TELLING))


def telling(opened: dict[str, Any]) -> Iterator[str]:
    """The texts of sealed fields that point to one person."""
    for name, value in opened.items():
        if isinstance(value, dict):
            yield from (each for each in value.values() if isinstance(each, str))
        elif isinstance(value, str) and name not in COMMON:
            yield value


def sessions_of(client: Client, customers: Collection[str]) -> set[str]:
    rows = client.query(
        "SELECT DISTINCT toString(session_id) FROM accredit.conversions WHERE customer_id IN {customers:Array(String)}",
        parameters={"customers": list(customers)},
        settings={"log_queries": 0},
    ).result_rows
    return {str(session) for (session,) in rows}


def sealed_of(client: Client, sessions: Collection[str]) -> Iterator[tuple[str, str]]:
    """Session and sealed text of every click and conversion that has one."""
    for table in ("clicks", "conversions"):
        rows = client.query(
            f"SELECT toString(session_id), params['{SEALED}'] FROM accredit.{table} "
            f"WHERE session_id IN {{sessions:Array(UUID)}} AND params['{SEALED}'] != ''",
            parameters={"sessions": sorted(sessions)},
            settings={"log_queries": 0},
        ).result_rows
        yield from ((str(session), str(sealed)) for session, sealed in rows)
