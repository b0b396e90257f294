"""Looks at every pair of databases while a run is measured, where the drill asks when redundancy was restored.

Each look asks both members directly and is an event; what the clock says of them is measured later, from the events.
"""

from __future__ import annotations

import asyncio

from chaoskit.conductor.stage import Stage
from chaoskit.engines import redundancy
from chaoskit.metrics.redundancy import LOOK
from chaoskit.model.redundancy import REDUNDANCY_RESTORED

EVERY_S = 0.25
WITHIN_S = 2.0


class RedundancyWatch:
    """`restored` is a matter of when the run may end, not of the verdict."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        asked = REDUNDANCY_RESTORED in stage.plan.drill.objectives
        roles = stage.plan.system.roles.items() if asked else ()
        self._pairs = {name: role for name, role in roles if role.standby is not None}
        self._targets: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._through_ns = 0

    def restored(self) -> bool:
        """Whether every pair was seen to have a standby that has caught up, by a look after this was asked first.

        Whoever asks is through with everything else, and an earlier look may not count for the clock.
        """
        self._through_ns = self._through_ns or self._stage.clock()
        return not self.missing()

    def missing(self) -> list[str]:
        """Roles that have none."""
        return [
            f"the standby of {name}" for name in self._pairs if self._since.get(name, 0) <= self._through_ns
        ]

    async def follow(self) -> None:
        """Look until cancelled."""
        await asyncio.gather(*(self._follow(name) for name in self._pairs))

    async def _follow(self, name: str) -> None:
        stage = self._stage
        next_ns = stage.clock()
        while True:
            seen = await redundancy.look(self._pairs[name], stage.estate, WITHIN_S)
            self._note(name, seen)
            stage.recorder.record(
                LOOK,
                role=name,
                asked=seen.asked,
                answered=seen.answered,
                seen=seen.seen,
                writer=seen.writer,
                position=seen.at,
                replayed=seen.replayed,
                **({"why": seen.why} if seen.why else {}),
            )
            next_ns = max(next_ns + int(EVERY_S * 1e9), stage.clock())
            await stage.sleep_until(next_ns)

    def _note(self, name: str, seen: redundancy.Sight) -> None:
        # How far it must have replayed is known when `rejoin` has ended: an earlier look asks for too little.
        if not seen.seen or seen.replayed is None or not 0 < self._through_ns < seen.asked:
            self._targets.pop(name, None)
            return
        if seen.replayed >= self._targets.setdefault(name, seen.at):
            self._since[name] = seen.asked
