"""The order in which a part of the credits becomes settlements. What a crash costs is as in ``checkpoint``.

1. Of each claim the greatest version is put into the store, with the offset, in one atomic write.
2. Each conversion that the part touches is settled once, on all its claims, and the settlement is produced; so are the
   dead letters of its conflicts, and their withdrawals. All of them are functions of the set of claims, so what comes a
   second time after a crash is the same, or greater.
3. All of them are acknowledged.
4. The offset may be committed.

Silent parts stop after 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from processors.core.settlement import claim_key, settle, without_explanation
from processors.runtime.dead_letters import STAGE_SETTLEMENT, of_record
from processors.runtime.intake import Refused
from processors.runtime.metrics import Metrics
from processors.runtime.outputs import Outputs
from processors.runtime.partition import Part, Partition
from processors.store import ClaimStore, claim_row
from schemas.codec import decode
from schemas.errors import BadFrame
from schemas.records import Credit


class Claims(NamedTuple):
    """The part's claims by conversion, and what is no claim."""

    by_conversion: dict[str, dict[str, Credit]]
    refused: list[Refused]


class SettlementCheckpoint:
    """Takes parts through the steps. ``clock`` gives milliseconds; it dates dead letters and nothing else."""

    def __init__(self, outputs: Outputs, metrics: Metrics, run_id: str, clock: Callable[[], int]) -> None:
        self._outputs = outputs
        self._metrics = metrics
        self._run_id = run_id
        self._clock = clock

    async def advance(self, partition: Partition[ClaimStore], part: Part) -> None:
        """Steps 1 to 4 for a part. Raises what ``processors.errors`` lists."""
        taken = self._take(part)
        known = {name: self._known(partition.store, name) for name in taken.by_conversion}
        rows = []
        for name, claims in taken.by_conversion.items():
            for key, claim in claims.items():
                if key not in known[name] or known[name][key].version < claim.version:
                    known[name][key] = claim
                    rows.append(claim_row(claim, key))
        partition.put(part.topic, rows, part.end)  # 1
        partition.applied(part)
        self._metrics.records.labels(part.topic).inc(len(part.records))
        if not part.live:
            self._metrics.silent_records.inc(len(part.records))
            self._metrics.ended(len(part.records))
            return
        for conversion in known.values():
            settled = settle(list(conversion.values()))
            self._outputs.settlement(settled.settlement)  # 2
            for letter in settled.letters:
                self._outputs.dead_letter(letter)
        self._metrics.evaluations.inc(len(known))
        for refused in taken.refused:
            letter = of_record(part.topic, partition.number, refused, self._clock(), STAGE_SETTLEMENT)
            self._outputs.dead_letter(letter)
        with self._metrics.acknowledge_seconds.time():
            await self._outputs.acknowledged()  # 3
        partition.evaluated(part)  # 4
        self._metrics.ended(len(part.records))

    def _take(self, part: Part) -> Claims:
        by_conversion: dict[str, dict[str, Credit]] = defaultdict(dict)
        refused = []
        for record in part.records:
            try:
                claim = decode(record.value)
            except BadFrame as error:
                where = (record.offset, record.timestamp, record.key, record.value)
                refused.append(Refused(*where, error.reason, error.detail))
                continue
            if not isinstance(claim, Credit):
                where = (record.offset, record.timestamp, record.key, record.value)
                refused.append(Refused(*where, "WRONG_SCHEMA", f"a {type(claim).__name__} in the topic of credits"))
            elif claim.run_id == self._run_id:
                claims, key = by_conversion[claim.conversion_id], claim_key(claim)
                if key not in claims or claims[key].version < claim.version:
                    claims[key] = without_explanation(claim)
        return Claims(by_conversion, refused)

    @staticmethod
    def _known(store: ClaimStore, conversion_id: str) -> dict[str, Credit]:
        claims = [decode(value) for value in store.claims(conversion_id)]
        return {claim_key(claim): claim for claim in claims if isinstance(claim, Credit)}
