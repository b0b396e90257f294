"""Detection: direct, periodic probes that do not know the injector, and the alert after enough misses in a row.

    zero + phase     + every      + 2·every    + 3·every
        │                │             │            │
      look ok          look ✗        look ✗       look ✗  ──► alert with misses: 3
                         └─ first miss

Every look starts on schedule, whether or not the one before has answered, so that a frozen service (each look takes
its whole timeout) is found as quickly as the drill says. Looks are counted in the order in which they were sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from chaoskit.clock import Clock
from chaoskit.conductor.recorder import Recorder
from chaoskit.conductor.stage import Registry
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.drill import When
from chaoskit.model.estate import Estate
from chaoskit.model.member import Look, Probe
from chaoskit.model.system import System

GRACE_S = 0.25
"""What a look may take beyond its own timeout before it is cut off and counts as a miss."""


@dataclass(frozen=True)
class Alert:
    """`misses` looks in a row have failed; times are CLOCK_MONOTONIC ns: of the first of them, when it was sent and
    when it was known to have failed.
    """

    at_ns: int
    first_miss_ns: int
    first_known_ns: int


@dataclass
class Detector:
    """Watches one service for one step; `phase_ns` is its place within the period, drawn from the plan's seed."""

    step: str
    service: str
    probe: Probe
    when: When
    phase_ns: int
    estate: Estate
    recorder: Recorder
    clock: Clock
    _looks: asyncio.Queue[asyncio.Task[tuple[int, int, Look]]] = field(default_factory=asyncio.Queue)

    async def alert(self, zero_ns: int) -> Alert:
        """Look from `zero_ns` on until `misses` looks in a row have failed."""
        looking = asyncio.create_task(self._look_on_schedule(zero_ns))
        try:
            return await self._count()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            while not self._looks.empty():
                look = self._looks.get_nowait()
                look.cancel()
                await asyncio.gather(look, return_exceptions=True)

    async def _look_on_schedule(self, zero_ns: int) -> None:
        due = zero_ns + self.phase_ns
        while True:
            await asyncio.sleep(max(0, due - self.clock()) / 1e9)
            self._looks.put_nowait(asyncio.create_task(self._look()))
            due += self.when.every.ns
            while due <= self.clock() - self.when.every.ns:  # held up ourselves: no burst that proves nothing
                due += self.when.every.ns

    async def _look(self) -> tuple[int, int, Look]:
        sent = self.clock()
        try:
            async with asyncio.timeout(self.when.timeout.s + GRACE_S):
                look = await self.probe.look(self.service, self.estate, self.when.timeout.s)
        except TimeoutError:
            look = Look(False, f"no answer within {self.when.timeout}")
        except OSError as error:
            look = Look(False, f"{type(error).__name__}: {error}")
        return sent, self.clock(), look

    async def _count(self) -> Alert:
        misses, first_miss, first_known, quiet = 0, 0, 0, False
        while True:
            sent, done, look = await (await self._looks.get())
            if look.ok:
                if misses or not quiet:
                    self._record("detect.ok", sent, done, look)
                misses, quiet = 0, True
                continue
            self._record("detect.miss", sent, done, look)
            if not misses:
                first_miss, first_known = sent, done
            misses += 1
            if misses >= self.when.misses:
                return Alert(self.clock(), first_miss, first_known)

    def _record(self, kind: str, sent: int, done: int, look: Look) -> None:
        self.recorder.record(
            kind, step=self.step, service=self.service, sent=sent, done=done, detail=look.detail
        )


def probe_for(registry: Registry, system: System, service: str) -> Probe:
    """The probe that speaks the service's protocol, the most telling one where several fit.

    Raises EnvironmentBroken if none does.
    """
    fitting = [
        (rank, name)
        for name, member in registry.members("probes").items()
        if (rank := int(member.fits(system, service)))
    ]
    if not fitting:
        raise EnvironmentBroken(
            f"no probe can tell whether {service} is down; known: {', '.join(registry.members('probes'))}"
        )
    probe: Probe = registry.member("probes", max(fitting)[1])()
    return probe
