"""The measurers' processes: load and prober, started on the estate, watched, and stopped so that they drain."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from chaoskit.clock import Clock
from chaoskit.conductor.recorder import Recorder
from chaoskit.conductor.task import MeasurerTask
from chaoskit.model.estate import Address, Estate, Helper
from chaoskit.model.plan import Plan
from chaoskit.model.system import CUSTOMERS, Link

Source = Literal["load", "prober"]
DRAIN_S = 15.0
"""What a measurer may take beyond the longest client limit to drain and to write its end."""


def journal_of(folder: Path, source: Source) -> Path:
    """Where a measurer's journal lies in the run folder."""
    return folder / "ops" / f"{source}.jsonl"


def targets(plan: Plan, estate: Estate) -> dict[str, tuple[str, int]]:
    """Where customers reach each service, and each service:port that a journey names: their declared link to it, or the
    service itself."""
    linked = {link.callee for link in plan.system.links if link.caller == CUSTOMERS}
    journeys = plan.system.journeys.values()
    services = {journey.service for journey in journeys}
    found = {}
    for service in sorted(services):
        link = Link(caller=CUSTOMERS, callee=service).name
        address = estate.links.address(link) if service in linked else estate.direct(service)
        found[service] = (address.host, address.port)
        for port in sorted({one.port for one in journeys if one.service == service and one.port is not None}):
            at = estate.links.address(link, port) if service in linked else Address(address.host, port)
            found[f"{service}:{port}"] = (at.host, at.port)
    return found


def task_for(
    source: Source, plan: Plan, reach: Mapping[str, tuple[str, int]], start_ns: int, journal: Path
) -> MeasurerTask:
    """What the load, or the prober, is told to do."""
    return MeasurerTask(
        source=source,
        journeys=plan.system.journeys,
        rates=plan.load if source == "load" else {},
        probes=plan.probes if source == "prober" else (),
        population=plan.system.population,
        folder=plan.system.folder,
        seed=plan.seed,
        targets=dict(reach),
        start_at_ns=start_ns,
        journal=journal,
    )


class Measurers:
    """Both processes of one run."""

    def __init__(self, plan: Plan, estate: Estate, folder: Path, recorder: Recorder, clock: Clock) -> None:
        self._plan = plan
        self._estate = estate
        self._folder = folder
        self._recorder = recorder
        self._clock = clock
        self._helpers: dict[Source, Helper] = {}

    @property
    def sources(self) -> tuple[Source, ...]:
        """Which measurers this plan needs."""
        return ("load", "prober") if self._plan.probes else ("load",)

    @property
    def journals(self) -> tuple[Path, ...]:
        return tuple(journal_of(self._folder, source) for source in self.sources)

    async def start(self) -> None:
        """Start them; each begins its journal, and its arrivals, as soon as it is ready."""
        (self._folder / "ops").mkdir(parents=True, exist_ok=True)
        reach = targets(self._plan, self._estate)
        start_ns = self._clock()

        async def start(source: Source) -> None:
            task = task_for(source, self._plan, reach, start_ns, journal_of(self._folder, source))
            argv = (sys.executable, "-m", f"chaoskit.conductor.{source}")
            stdin = task.model_dump_json().encode()
            self._helpers[source] = await self._estate.spawn(source, argv, stdin)

        await asyncio.gather(*(start(source) for source in self.sources))

    async def ended(self) -> tuple[Source, int] | None:
        """A measurer that has ended although nobody asked, with its status; None while all live."""
        for source, helper in self._helpers.items():
            if (status := await helper.exited()) is not None:
                return source, status
        return None

    def last_words(self, source: Source) -> tuple[str, ...]:
        """What it said last, and whether there is room for more: on a full disk its log is as mute as its journal."""
        said: list[str] = []
        with suppress(OSError):
            said = self._estate.log_path(source).read_text(encoding="utf-8", errors="replace").splitlines()
        full = os.statvfs(self._folder).f_bavail == 0
        return (*said[-1:], *(("no space is left in the run folder",) if full else ()))

    async def stop(self, within_s: float | None = None) -> None:
        """SIGTERM to both, and wait until they have drained, at most `within_s`. May be cancelled and called again."""
        longest = max(journey.good.within.s for journey in self._plan.system.journeys.values())
        limit = longest + DRAIN_S if within_s is None else within_s

        async def stop(source: Source, helper: Helper) -> None:
            status = await helper.terminate(limit)
            del self._helpers[source]
            self._recorder.record("measurer.end", source=source, status=status)

        await asyncio.gather(*(stop(source, helper) for source, helper in self._helpers.items()))
