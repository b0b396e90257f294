"""A roll-out while it goes on: the schema, then the services, until all are changed or somebody halts it.

one-first    note ─ migrate ─ pause ─ service 1 ─ pause ─ service 2 … ─ finish        halt ends it between two changes
all          note ─ migrate ─ every service at once ─ finish

`note` is where the log of each database with a backup stood before the first change: the way back that is left when
the old version cannot read what the new one writes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from chaoskit.engines.http_exchange import document
from chaoskit.engines.restore_point import note
from chaoskit.errors import EnvironmentBroken, ServiceDown
from chaoskit.model.estate import Estate
from chaoskit.model.plan import PlannedStep
from chaoskit.model.release import Release, Strategy
from chaoskit.model.releases import releases
from chaoskit.model.security import RestorePoint
from chaoskit.quantity import Duration

_ASK_S = 1.0
FAULT = "upgrade.roll-out"
"""The fault that begins one."""
FORWARD = "roll-forward"
"""The response that begins one over it."""
AskedStrategy = Annotated[
    Strategy | None, Field(description="all or one-first; default: as the release says")
]
AskedPause = Annotated[
    Duration | None, Field(description="between two changes of one-first; default: as the release says")
]
"""What a step may say of either otherwise than the release does."""


@dataclass
class RollOut:
    """One release on its way to its services. `before` is what each ran; `failed` says why it came to a stop.

    `noted`: by backup, the point before the first change; `unnoted` says why there is none. `over`: the bad release
    that it is put over as its fix. `said`: what each service said it was before the first change, None where it did not
    say. `finished`: what its migration leaves until the last service is changed is done.
    """

    name: str
    release: Release
    estate: Estate
    strategy: Strategy
    pause: Duration
    before: Mapping[str, str | None]
    over: str | None = None
    changed: list[str] = field(default_factory=list)
    failed: str = ""
    noted: Mapping[str, RestorePoint] = field(default_factory=dict)
    unnoted: str = ""
    said: Mapping[str, str | None] = field(default_factory=dict)
    finished: bool = False
    _halted: asyncio.Event = field(default_factory=asyncio.Event)
    _work: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; `ended` waits for the end."""
        self._work = asyncio.create_task(self._go(), name=f"roll-out of {self.name}")

    async def halt(self) -> None:
        """Begin no further change, and wait until the one that has begun is over."""
        self._halted.set()
        await self.ended()

    async def ended(self) -> None:
        """Return when nothing more is changed. Whoever is cancelled here does not end it."""
        if self._work is not None:
            await asyncio.wait({self._work})

    async def drop(self) -> None:
        """End it in the middle of what it does."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})

    async def _go(self) -> None:
        services = self.release.services
        asked = asyncio.gather(*(said_version(service, self.release, self.estate) for service in services))
        (self.noted, self.unnoted), said = await asyncio.gather(note(self.estate), asked)
        self.said = dict(zip(services, said, strict=True))
        if self._halted.is_set():
            return
        try:
            if self.release.migration is not None:
                await releases(self.estate).migrate(self.name, "up")
                await self._wait()
            await self._change_services()
            if set(self.changed) == set(self.release.services):  # nobody writes as before any more
                await releases(self.estate).migrate(self.name, "finish")
                self.finished = True
        except EnvironmentBroken as error:
            self.failed = str(error)

    async def _change_services(self) -> None:
        if self.strategy == "all":
            await asyncio.gather(*(self._change(service) for service in self.release.services))
            return
        for number, service in enumerate(self.release.services):
            if number:
                await self._wait()
            await self._change(service)

    async def _change(self, service: str) -> None:
        if self._halted.is_set():
            return
        self.changed.append(service)
        await releases(self.estate).change(service, self.name)

    async def _wait(self) -> None:
        if self.strategy == "one-first":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._halted.wait(), self.pause.s)


def planned(steps: Sequence[PlannedStep]) -> set[str]:
    """The releases that those steps roll out, or over another."""
    faults = {one for step in steps if step.name == FAULT for one in step.on}
    return faults | {str(step.params["to"]) for step in steps if step.name == FORWARD and "to" in step.params}


def begin(roll_out: RollOut) -> None:
    """Start it, and keep it where a roll-back finds it."""
    releases(roll_out.estate).begun.append(roll_out)
    roll_out.start()


def begun(estate: Estate) -> tuple[RollOut, ...]:
    """Those begun on an estate, in order."""
    return tuple(one for one in releases(estate).begun if isinstance(one, RollOut))


async def said_version(service: str, release: Release, estate: Estate) -> str | None:
    """What the service itself says it is, asked directly; None when it does not say."""
    try:
        found = await document(estate.direct(service), release.says.path, service, _ASK_S)
    except ServiceDown:
        return None
    for step in release.says.key.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None
