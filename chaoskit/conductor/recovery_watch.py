"""Watches whether the journeys are good again, so that a run ends as soon as all there is to see was seen."""

from __future__ import annotations

from chaoskit.conductor.stage import Stage
from chaoskit.metrics.live import LiveRecovery

LOOK_NS = 100_000_000


class RecoveryWatch:
    """Asks the criterion that judges the run later, at most ten times a second.

    It has to hold from the last fault on, as it will be judged, and from the last change of any kind (a response, a
    fault that was lifted), so that what that change does to the customers is on record.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._since_fault = LiveRecovery(stage.plan)
        self._since_change = LiveRecovery(stage.plan)
        self._taken = 0
        self._next_ns = 0
        self._found: dict[str, int | None] = {}
        self._held = False
        self._told: set[tuple[str, int]] = set()

    async def recovered(self, journey: str) -> None:
        """Return once the journey, after the latest fault, has been good for its whole window."""
        while True:
            self.look()
            if self._stage.first_fault_ns and self._found.get(journey) is not None:
                return
            await self._stage.observation.next_look()

    def all_held(self) -> bool:
        """Whether every journey has held W, since the last fault and since the last change."""
        self.look()
        return self._held

    def missing(self) -> list[str]:
        """Journeys that have not recovered."""
        self.look()
        return sorted(journey for journey, at in self._found.items() if at is None)

    def look(self) -> None:
        """Bring the answer up to date, if it is old enough."""
        stage = self._stage
        now = stage.clock()
        if now < self._next_ns:
            return
        finished = stage.observation.finished
        fresh, self._taken = finished[self._taken :], len(finished)
        self._since_fault.observe(fresh)
        self._since_change.observe(fresh)
        fault = stage.last_fault_ns or stage.zero_ns
        change = max(stage.changed_ns, fault)
        self._found = self._since_fault.recovered_at(fault, now)
        since_change = self._since_change.recovered_at(change, now) if change > fault else self._found
        held = [at is not None for at in (*self._found.values(), *since_change.values())]
        self._held = bool(held) and all(held)
        if stage.first_fault_ns:
            self._tell()
        # However many arrivals there are to judge, the looking itself takes at most a twentieth of the processor.
        self._next_ns = now + max(LOOK_NS, 20 * (stage.clock() - now))

    def _tell(self) -> None:
        for journey, at in self._found.items():
            if at is not None and (told := (journey, self._stage.last_fault_ns)) not in self._told:
                self._told.add(told)
                self._stage.recorder.record("journey.recovered", journey=journey, at=at)
