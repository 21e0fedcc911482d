"""What of a subject a record still tells."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from urllib.parse import quote, quote_plus

from console.forget.subject import Subject
from ingest.privacy.personal import OURS
from schemas.codec import decode
from schemas.errors import BadFrame
from schemas.ids import session_key
from schemas.records import Click, Conversion
from schemas.sealing import SEALED, Sealer

FIELDS = ("ip", "user_agent", "referrer")


class Traces:
    """Looks at bytes: for the subject's values anywhere, and at the fields of its own clicks and conversions."""

    def __init__(self, subject: Subject, sealer: Sealer, clear_params: Collection[str]) -> None:
        forms = ((value, quote(value, safe=""), quote_plus(value)) for value in subject.values)
        self.written = sorted({form for each in forms for form in each})
        self._values = re.compile(b"|".join(re.escape(v.encode(errors="replace")) for v in self.written) or rb"(?!)")
        self._sessions = {session_key(session) for session in subject.sessions}
        self._sealer = sealer
        self._clear = clear_params

    def in_bytes(self, raw: bytes) -> Iterator[str]:
        """``value`` when one of the subject's values stands there."""
        if self._values.search(raw) is not None:
            yield "a value of the subject in the clear"

    def in_record(self, key: bytes | None, value: bytes) -> Iterator[str]:
        """Of a framed record, or any bytes under a key."""
        yield from self.in_bytes(value)
        if key is None or key[:16] not in self._sessions:
            return
        try:
            record = decode(value)
        except BadFrame:
            return
        if isinstance(record, Click | Conversion):
            yield from self.in_fields(record.session_id, record._asdict(), record.params)

    def in_fields(self, session_id: str, fields: dict[str, object], params: object) -> Iterator[str]:
        """Of one of the subject's own clicks or conversions."""
        yield from (f"{name} in the clear" for name in FIELDS if fields.get(name))
        assert isinstance(params, dict)
        for name, value in params.items():
            if name == SEALED:
                if self._sealer.open(session_id, value) is not None:
                    yield "sealed fields that can be opened"
            elif name not in self._clear and not name.startswith(OURS):
                yield f"parameter {name} in the clear"
