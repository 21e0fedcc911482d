"""HTTP sessions: what SET, USE and temporary tables leave for the next request with the same `session_id`.

Most clients send a session id and never use it. So a session has a connection of its own only from the first
statement that leaves something behind; until then its requests take fresh connections like all others.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.local.clickhouse.engine import Connection
from deploy.local.clickhouse.errors import ServerError
from deploy.local.clickhouse.request import SessionAsk

MOST_SESSIONS = 10_000
MOST_CONNECTIONS = 100


@dataclass(slots=True)
class Session:
    """One session. `words` are those of its SET statements: settings that later requests run under."""

    expires_at: float
    busy: bool = False
    connection: Connection | None = None
    words: set[str] = field(default_factory=set)


class Sessions:
    """The sessions of one server, by user and id. Not thread-safe: for the event loop only."""

    def __init__(self, clock: Callable[[], float], close: Callable[[Connection], None]) -> None:
        """`clock` gives seconds; `close` disposes of an expired session's connection."""
        self._clock = clock
        self._close = close
        self._sessions: dict[tuple[str, str], Session] = {}

    def take(self, user: str, ask: SessionAsk) -> Session:
        """The session, made if it is new, until `give_back`. Raises `ServerError` if another request has it."""
        self.sweep()
        session = self._sessions.get((user, ask.id))
        if session is None:
            if ask.must_exist:
                raise ServerError(372, "SESSION_NOT_FOUND", f"Session {ask.id} not found")
            if len(self._sessions) >= MOST_SESSIONS:
                raise ServerError(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many sessions (over {MOST_SESSIONS})")
            session = self._sessions[(user, ask.id)] = Session(0.0)
        elif session.busy:
            raise ServerError(373, "SESSION_IS_LOCKED", f"Session {ask.id} is locked by a concurrent client")
        session.busy = True
        return session

    def pin(self, session: Session, connection: Connection) -> None:
        """Give the session this connection. Raises `ServerError` when too many sessions have one."""
        if sum(each.connection is not None for each in self._sessions.values()) >= MOST_CONNECTIONS:
            raise ServerError(
                202,
                "TOO_MANY_SIMULTANEOUS_QUERIES",
                f"Too many sessions with settings or temporary tables of their own (over {MOST_CONNECTIONS}): "
                "end some with close_session=1",
            )
        session.connection = connection

    def give_back(self, user: str, ask: SessionAsk, session: Session) -> None:
        """End of the request that took it."""
        session.busy = False
        session.expires_at = self._clock() + ask.timeout
        if ask.closes:
            self._drop((user, ask.id))

    def sweep(self) -> None:
        """Drop what has expired."""
        now = self._clock()
        for key in [key for key, each in self._sessions.items() if not each.busy and each.expires_at <= now]:
            self._drop(key)

    def close(self) -> None:
        """Drop all."""
        for key in list(self._sessions):
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        session = self._sessions.pop(key)
        if session.connection is not None:
            self._close(session.connection)
            session.connection = None
