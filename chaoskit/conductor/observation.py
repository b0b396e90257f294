"""What load and prober have told so far, read from their journals while they write them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaoskit.conductor.journal import JournalReader
from chaoskit.conductor.recorder import Onlooker
from chaoskit.model.history import Operation
from chaoskit.model.plan import Plan

POLL_S = 0.05
"""How often the journals are looked at. It bounds how late the run's end is noticed, never a measured time."""
SILENT_NS = 1_500_000_000
"""Three beats of a measurer."""
SLACK_NS = 10**9
"""Records stand in the order of writing; intended times may be out of order by less than this."""


class Observation:
    """The operations of both journals, in one place.

    `finished` holds those with an answer, or missed, in the order of their records. `changed` is set after every look.
    """

    def __init__(self, journals: Sequence[Path], onlooker: Onlooker | None = None) -> None:
        self.readers = tuple(JournalReader(path) for path in journals)
        self.finished: list[Operation] = []
        self._onlooker = onlooker
        self._look = asyncio.Condition()

    @property
    def begun(self) -> bool:
        """Whether every measurer has begun its journal."""
        return all(reader.header is not None for reader in self.readers)

    @property
    def outstanding(self) -> int:
        """Operations that were sent and not answered."""
        return sum(reader.outstanding for reader in self.readers)

    def poll(self) -> None:
        """Read what is new."""
        fresh = [operation for reader in self.readers for operation in reader.poll()]
        self.finished += fresh
        if fresh and self._onlooker is not None:
            self._onlooker(fresh)

    async def follow(self) -> None:
        """Poll until cancelled."""
        while True:
            self.poll()
            async with self._look:
                self._look.notify_all()
            await asyncio.sleep(POLL_S)

    def silent(self, now_ns: int) -> bool:
        """Whether a measurer has given no sign of life for a while: it is stopped, or starved, and sees nothing."""
        return any(now_ns - (reader.alive_ns or now_ns) > SILENT_NS for reader in self.readers)

    async def next_look(self) -> None:
        """Return after the next poll."""
        async with self._look:
            await self._look.wait()

    def operations(self, since_ns: int = 0) -> list[Operation]:
        """All recorded operations intended at `since_ns` or later, outstanding ones included; cheap near now."""
        found = []
        for reader in self.readers:
            for operation in reversed(reader.operations()):
                if operation.intended < since_ns - SLACK_NS:
                    break
                if operation.intended >= since_ns:
                    found.append(operation)
        return found

    def window(self, start_ns: int, end_ns: int) -> list[Operation]:
        """Finished operations with start ≤ intended < end; cheap for a window near now."""
        found = []
        for operation in reversed(self.finished):
            if operation.intended < start_ns - SLACK_NS:
                break
            if start_ns <= operation.intended < end_ns:
                found.append(operation)
        return found


def limits_ns(plan: Plan) -> Mapping[str, int]:
    """Latency limit of every journey the run drives, ns."""
    driven = set(plan.load) | {probe.journey for probe in plan.probes}
    return {journey: plan.system.journeys[journey].good.within.ns for journey in sorted(driven)}


def is_first(operation: Operation) -> bool:
    """A scheduled arrival, and not a retry or a double tap of one."""
    return operation.attempt == 1 and not operation.tap


def is_good(operation: Operation, limit_ns: int) -> bool:
    """MEASUREMENT: ok in full, and within the journey's limit from the intended time."""
    return operation.full and operation.done is not None and operation.done - operation.intended <= limit_ns
