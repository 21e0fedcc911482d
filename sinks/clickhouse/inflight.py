"""The batch that is being inserted while the next one fills."""

from __future__ import annotations

import threading
import time

from sinks.clickhouse.rows import Batch
from sinks.clickhouse.writer import Stopped, Writer


class InFlight:
    """One batch in a thread of its own. The thread never outlives the process: a hung server cannot hold it."""

    def __init__(self, writer: Writer, batch: Batch, begun_at: float) -> None:
        """Starts at once. ``begun_at`` is when the batch's first record was read, on the monotonic clock."""
        self.batch = batch
        self.begun_at = begun_at
        self.started_at = time.monotonic()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, args=(writer,), name="insert", daemon=True)
        self._thread.start()

    def _write(self, writer: Writer) -> None:
        try:
            writer.write(self.batch)
        except BaseException as error:
            self._error = error

    def done(self, wait_s: float = 0) -> bool:
        """Whether the whole batch is in ClickHouse, after waiting so long at most.

        False too when the wait was given up (`Writer.stop`). An error that is none of the environment's is raised.
        """
        self._thread.join(wait_s)
        if self._thread.is_alive():
            return False
        if isinstance(self._error, Stopped):
            return False
        if self._error is not None:
            raise self._error
        return True
