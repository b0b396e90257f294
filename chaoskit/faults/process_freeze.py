"""process.freeze: the whole process tree of a service stops, keeps its connections, and answers nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from chaoskit.engines import tree
from chaoskit.engines.dialect import Dialect, Position, take_position
from chaoskit.engines.foremost import foremost
from chaoskit.model.estate import Estate
from chaoskit.model.lease import ProcessRef, SignalUndo, Undo
from chaoskit.model.member import Witness
from chaoskit.registry import register

_WITHIN_S = 2.0
_SILENCE_S = 0.15


@dataclass(frozen=True)
class _Before:
    tree: tuple[ProcessRef, ...]
    position: Position

    def close(self) -> None:
        """Let go of the connection, where no witness will."""
        self.position.close()


@register("faults", "process.freeze")
@dataclass(frozen=True)
class ProcessFreeze:
    """Every process of a service is stopped by SIGSTOP, as by a hung storage controller or a paused virtual machine.

    The kernel goes on accepting connections for it and keeps the open ones, so that callers neither fail nor get an
    answer: they must notice by their own time limits. All of its processes are stopped, again until no new one
    appears; a database whose parent alone is stopped goes on committing on the connections it has.

    Witness: the kernel, asked by the conductor itself, says that each process is stopped; and a connection that was
    open and answering before the fault gets no answer (for a service whose protocol is not known: the kernel alone).
    Undo: SIGCONT to each of the processes, named by pid and start time, and to what descends from them. With `for:`
    it wakes then, and still believes that it is what it was: that is the point of the drill.
    Fidelity on `local`: real processes, really stopped; its kernel still answers TCP, as a paused machine's would not.
    Fidelity on `docker`: every process of the container, those of its health checks too; not the engine's own pause.

        timeline:
          - at: 0s
            fault: process.freeze
            on: ledger-db
            for: 4s
    """

    requires: ClassVar[frozenset[str]] = frozenset({"processes"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "kind"

    async def baseline(self, target: str, estate: Estate) -> _Before:
        dialect = Dialect.of(estate.plan.system, target)
        # Connected first: a server that forks for each connection has this one's process in its tree then.
        position = await take_position(dialect, estate.direct(target), asks=1)
        try:
            return _Before(await estate.processes.tree(target), position)
        except BaseException:
            position.close()
            raise

    async def undo(self, target: str, estate: Estate) -> Undo:
        return Undo(steps=(SignalUndo(processes=await estate.processes.tree(target)),))

    async def apply(self, target: str, estate: Estate) -> None:
        await estate.processes.freeze(target)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        before: _Before = baseline
        try:
            return await self._look(target, estate, before)
        finally:
            before.position.close()

    async def _look(self, target: str, estate: Estate, before: _Before) -> Witness:
        line = before.position.line
        if not before.tree:
            return Witness(False, None, f"{target} had no process before the fault")
        if line is None:
            return Witness(False, None, before.position.why)
        # Those that were forked meanwhile count too; those that ended by themselves do not.
        now = {*before.tree, *await estate.processes.tree(target)}
        with foremost():
            fate = await tree.until(estate.processes, tuple(now), frozenset({"stopped", "gone"}), _WITHIN_S)
        if fate is None or not fate.stopped:
            return Witness(False, None, f"of {target}'s processes: {tree.look(estate.processes, now)}")
        how = f"the kernel has all {fate.stopped} processes of {target} stopped"
        if not line.can_ask:
            return Witness(True, fate.at_ns, f"{how}; its protocol is not known, so no connection was asked")
        answer = await line.ask(_SILENCE_S)
        if answer.kind != "silent":
            return Witness(
                False, None, f"{how}, yet a connection from before was {answer.kind}: {answer.detail}"
            )
        return Witness(
            True,
            fate.at_ns,
            f"{how}; a connection from before gives no answer within {_SILENCE_S * 1000:.0f} ms",
        )
