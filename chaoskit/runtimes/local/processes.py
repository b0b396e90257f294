"""Whole trees of services, and the measurers' processes; their state is read from /proc directly."""

from __future__ import annotations

from chaoskit.model.lease import ProcessRef, ProcessState
from chaoskit.runtimes import process_table
from chaoskit.runtimes.supervision import Supervision


class LocalProcesses:
    """Capability `processes`. Every call but `state` raises EnvironmentBroken when the supervisor has
    ended.
    """

    def __init__(self, supervision: Supervision) -> None:
        self._supervision = supervision

    async def tree(self, service: str) -> tuple[ProcessRef, ...]:
        """Every live process of the service: what descends from its keeper, wherever it was reparented
        within it.
        """
        return _refs(await self._supervision.call("tree", name=service))

    async def kill(self, service: str, *, revive: bool = True) -> tuple[ProcessRef, ...]:
        """Stop all, then SIGKILL all; asked for, so not a crash. Returns those killed. Nothing revives them here."""
        return _refs(await self._supervision.call("kill", name=service))

    async def freeze(self, service: str) -> tuple[ProcessRef, ...]:
        """SIGSTOP all, again until no new child appears; returns those stopped."""
        return _refs(await self._supervision.call("freeze", name=service))

    def state(self, process: ProcessRef) -> ProcessState:
        """From the kernel, read by the calling process."""
        return process_table.state(process.pid, process.start)


def _refs(pairs: list[list[int]]) -> tuple[ProcessRef, ...]:
    return tuple(ProcessRef(pid=pid, start=start) for pid, start in pairs)
