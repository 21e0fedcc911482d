"""Where new sessions are born: those of one round of messages in one partition, those of the next in another.

What a broker does for a request costs the same for one message and for a hundred, and a request goes to each partition
of which there is anything (ADR 015). Where a session lies is decided by its id, which for a new visitor is ours to
choose. It is the choice of a moment: what becomes of the session later goes where its id says.
"""

from __future__ import annotations

import os

from schemas.ids import new_session_key
from schemas.partitions import born_in


class Births:
    """Makes the keys of new sessions. One per process; ``partitions`` of the topic, 0 while they are not known."""

    def __init__(self) -> None:
        self.partitions = 0
        self._partition = int.from_bytes(os.urandom(2), "big")  # not all processes take the same at once

    def turn(self) -> None:
        """From now on in the next partition."""
        self._partition += 1

    def key(self, at: int, entropy: bytes) -> bytes:
        """The 16 bytes of a session that begins at the millisecond ``at``, from 10 bytes of entropy."""
        key = new_session_key(at, entropy)
        return born_in(self._partition % self.partitions, self.partitions, key) if self.partitions else key
