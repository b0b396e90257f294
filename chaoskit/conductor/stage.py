"""What the actors of one run share: the plan, the estate, the recorder, and what has happened so far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from chaoskit.clock import Clock
from chaoskit.conductor.ending import Ending
from chaoskit.conductor.leases import LeaseBook
from chaoskit.conductor.observation import Observation
from chaoskit.conductor.recorder import Recorder
from chaoskit.model.estate import Estate
from chaoskit.model.people import Asker
from chaoskit.model.plan import Plan
from chaoskit.registry import Kind


class Registry(Protocol):
    """What the conductor needs of the registry; the module `chaoskit.registry` fits."""

    def members(self, kind: Kind) -> Mapping[str, type[Any]]: ...

    def member(self, kind: Kind, name: str) -> type[Any]: ...


@runtime_checkable
class Queued(Protocol):
    """A slot that says, while one waits, who holds it and how many others wait before."""

    tell: Callable[[str, int], None] | None


@dataclass(frozen=True)
class Controls:
    """What makes a run a control, which must go red: ids of faults not armed and of responses left out, and watchdogs
    of the system's own that are dead before the first fault."""

    disarm: frozenset[str] = frozenset()
    leave_out: frozenset[str] = frozenset()
    dead: frozenset[str] = frozenset()


@dataclass
class Stage:
    """One run while it is conducted. Times are CLOCK_MONOTONIC ns, 0 while they have not come.

    `unsure_ns` is the longest that a fault took from its beginning to its witness.
    """

    plan: Plan
    estate: Estate
    registry: Registry
    recorder: Recorder
    clock: Clock
    leases: LeaseBook
    ending: Ending
    observation: Observation
    controls: Controls = Controls()
    asker: Asker | None = None
    zero_ns: int = 0
    first_fault_ns: int = 0
    last_fault_ns: int = 0
    unsure_ns: int = 0
    changed_ns: int = 0
    fenced: set[str] = field(default_factory=set)
    killed: dict[str, int] = field(default_factory=dict)

    def change(self, at_ns: int) -> None:
        """Note that the system was changed on purpose: recovery has to hold from here on."""
        self.changed_ns = max(self.changed_ns, at_ns)

    async def sleep_until(self, at_ns: int) -> None:
        """Return at that instant, or at once if it has passed."""
        while (left := at_ns - self.clock()) > 0:  # noqa: ASYNC110 - a timer may wake a little early
            await asyncio.sleep(left / 1e9)
