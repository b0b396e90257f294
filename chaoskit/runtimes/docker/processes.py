"""The processes of a service's containers, by host pid: a kill that the engine sees as the crash it is.

service ──► containers (replicas) ──► control group of each ──► pids in our own /proc ──► SIGSTOP all, SIGKILL all
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from chaoskit.engines.foremost import foremost
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.lease import ProcessRef, ProcessState
from chaoskit.runtimes import process_table, signals
from chaoskit.runtimes.control_groups import ControlGroup, of_process
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.process_table import Entry, Sighting

_ROUNDS_MAX = 100


@dataclass(frozen=True)
class Container:
    """A service's container: its full id, and the host pid of its first process, 0 while it does not run."""

    id: str
    pid: int


Containers = Callable[[str], Sequence[Container]]
"""The containers of a service, replicas included, as the engine last said; must not block."""

GiveUp = Callable[[str], Awaitable[None]]
"""Sets a service's restart policy aside: once it is dead it stays dead until it is started again."""


class DockerProcesses:
    """Capability `processes`. A container's restart policy acts after `kill` as it does after a crash.

    `signal`s go straight to the pids when this process is root, else through the run's hand.
    """

    def __init__(self, hand: Hand, containers: Containers, give_up: GiveUp | None = None) -> None:
        self._hand = hand
        self.containers = containers
        self._give_up = give_up
        self._groups: dict[str, ControlGroup] = {}
        self._services: dict[str, str] = {}

    def groups(self, service: str) -> tuple[ControlGroup, ...]:
        """The control group of each container that has run. It keeps its name when the container is restarted."""
        found = []
        for container in self.containers(service):
            if container.id not in self._groups:
                group = of_process(container.pid) if container.pid > 0 else None
                # Between the look at the engine and this one its pid may have become somebody else's.
                if group is None or container.id not in str(group.holder):
                    continue
                self._groups[container.id] = group
                self._services[container.id] = service
            found.append(self._groups[container.id])
        return tuple(found)

    def service_of(self, group: str) -> str | None:
        """The service to one of whose containers a control group belongs, by its path in the kernel's words."""
        return next((service for id_, service in self._services.items() if id_ in group), None)

    async def tree(self, service: str) -> tuple[ProcessRef, ...]:
        """Every live process of the service's containers, those of health checks and `exec` included."""
        return _refs(self._members(service).entries)

    async def kill(self, service: str, *, revive: bool = True) -> tuple[ProcessRef, ...]:
        """Stop all, then SIGKILL all; returns those killed. With `revive` False no restart policy starts it again."""
        if not revive:
            if self._give_up is None:
                raise EnvironmentBroken(f"the restart policy of {service} cannot be set aside here")
            await self._give_up(service)
        if os.geteuid() == 0:
            with foremost():
                return _refs(signals.kill_all(lambda: self._members(service)).values())
        stopped = await self._stop_by_hand(service)
        await self._send_by_hand(signal.SIGKILL, stopped)
        return stopped

    async def freeze(self, service: str) -> tuple[ProcessRef, ...]:
        """SIGSTOP all, again until no new child appears; returns those stopped."""
        if os.geteuid() == 0:
            with foremost():
                return _refs(signals.stop_all(lambda: self._members(service)).values())
        return await self._stop_by_hand(service)

    async def wake(self, processes: Sequence[ProcessRef]) -> None:
        """SIGCONT to each that is still itself, and to what descends from it: the undo of `freeze`."""
        pairs = [(one.pid, one.start) for one in processes]
        if os.geteuid() == 0:
            await asyncio.to_thread(signals.continue_all, pairs)
            return
        table = process_table.table()
        named = [table[pid] for pid, start in pairs if pid in table and table[pid].start == start]
        below = process_table.descendants(table, [entry.pid for entry in named])
        await self._send_by_hand(signal.SIGCONT, _refs([*named, *below]))

    def state(self, process: ProcessRef) -> ProcessState:
        """From the kernel, read by the calling process."""
        return process_table.state(process.pid, process.start)

    def _members(self, service: str) -> Sighting:
        seen = [group.processes() for group in self.groups(service)]
        entries = tuple(entry for one in seen for entry in one.entries)
        return Sighting(entries, all(one.complete for one in seen))

    async def _stop_by_hand(self, service: str) -> tuple[ProcessRef, ...]:
        stopped: set[ProcessRef] = set()
        for _ in range(_ROUNDS_MAX):
            seen = self._members(service)
            new = set(_refs(seen.entries)) - stopped
            if not new and seen.complete:
                break
            await self._send_by_hand(signal.SIGSTOP, tuple(new))
            stopped |= new
        return tuple(sorted(stopped, key=lambda one: one.start))

    async def _send_by_hand(self, number: signal.Signals, processes: Sequence[ProcessRef]) -> None:
        living = [one for one in processes if process_table.alive(one.pid, one.start)]
        if living:
            # One that ends meanwhile makes `kill` fail, and has what was meant for it.
            await self._hand.run(["kill", f"-{number.name[3:]}", *(str(one.pid) for one in living)])


def _refs(entries: Iterable[Entry]) -> tuple[ProcessRef, ...]:
    return tuple(ProcessRef(pid=entry.pid, start=entry.start) for entry in entries)
