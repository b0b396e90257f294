"""host.loss: a service's machine is gone, and its network with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from chaoskit.engines import tree
from chaoskit.engines.dialect import until_silent
from chaoskit.engines.toxic_plan import SILENCE, lay, lost_network, outbound
from chaoskit.model.estate import Estate
from chaoskit.model.lease import MirrorUndo, NothingToUndo, ProcessRef, ToxicUndo, Undo
from chaoskit.model.means import means
from chaoskit.model.member import Witness
from chaoskit.registry import register

_WITHIN_S = 2.0


@register("faults", "host.loss")
@dataclass(frozen=True)
class HostLoss:
    """A service's machine is gone: its processes die and nothing answers at its address any more, not even a refusal.

    Unlike `process.kill`, whose callers are refused at once, callers here hear nothing and must rely on their own
    time limits. The links that lead from the service fall silent too.

    Witness: the kernel, asked by the conductor itself, no longer has any of the processes it had before; and a new
    connection through each link that leads to the service gets neither an answer nor a refusal.
    No restart policy brings it back, for it went with its host.
    Undo: a dead process stays dead; the links that lead to it come back when it listens again, those that lead from
    it at once, and before that when `respond: restart-service` starts it, as if on another host.
    Fidelity on `local`: the silence is made by the links' proxies, which also hold back the end of the connections that
    were open, so that they hang as they would; connecting succeeds, where a lost machine would let it hang.
    Fidelity on `docker`: the packet filter makes the silence, so that connecting hangs as well; besides, the
    container's own network drops every packet before its processes die.

        timeline:
          - at: 0s
            fault: host.loss
            on: ledger
    """

    requires: ClassVar[frozenset[str]] = frozenset({"processes", "links"})
    targets: ClassVar[Literal["service", "link"]] = "service"
    renewed: ClassVar[bool] = True

    async def baseline(self, target: str, estate: Estate) -> tuple[ProcessRef, ...]:
        return await estate.processes.tree(target)

    async def undo(self, target: str, estate: Estate) -> Undo:
        hung = [
            ToxicUndo(link=link, toxic=toxic.name)
            for link in outbound(target, estate.plan.system)
            for toxic in SILENCE
        ]
        why = f"a {target} whose host is lost stays dead"
        own = (lost_network(target),) if "networks" in estate.capabilities else ()
        return Undo(steps=(NothingToUndo(why=why), *own, MirrorUndo(service=target), *hung))

    async def apply(self, target: str, estate: Estate) -> None:
        # What it still had to say must not get out: its network falls silent before it dies.
        silenced: list[Awaitable[object]] = [
            estate.links.mirror(target, "silent"),
            *(lay(estate.links, link, SILENCE) for link in outbound(target, estate.plan.system)),
        ]
        if "networks" in estate.capabilities:
            silenced.append(means(estate).networks.part(target, (), lost_network(target).name))
        await asyncio.gather(*silenced)
        await estate.processes.kill(target, revive=False)

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        dead = await tree.witness_death(estate.processes, target, baseline, _WITHIN_S)
        if not dead.seen:
            return dead
        inbound = [link.name for link in estate.plan.system.links if link.callee == target]
        answers = await asyncio.gather(
            *(until_silent(estate.links.address(link), _WITHIN_S) for link in inbound)
        )
        for link, answer in zip(inbound, answers, strict=True):
            if answer.kind != "silent":
                return Witness(False, None, f"{dead.how}, but {link} is {answer.kind}: {answer.detail}")
        seen_ns = max([dead.seen_ns or 0, *(answer.asked_ns for answer in answers)])
        return Witness(True, seen_ns, f"{dead.how}; {len(inbound)} links to it are silent")
