"""Brings an estate back between two tests, and reads back that it is: undone, thawed, alive, open, answering.

leases ► stopped processes ► dead services ► links ► every service answers ► replication ► readers are served
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.lease import SignalUndo, Undo
from chaoskit.runtimes.population import until_streaming
from chaoskit.testing.customers import Customers
from chaoskit.testing.live import Live

WELL_WITHIN_S = 30.0
_READ_S = 1.0
_LOOK_AGAIN_S = 0.05
_MEND_AGAIN_S = 0.5


@dataclass(frozen=True)
class Reset:
    """What a reset had to do. What customers have written since the estate was started is kept.

    `left_on`: faults that somebody left standing; `restarted`: services that had no process; `crashed`: those that
    had ended unasked; `found`: what lay on links that no fault had put there.
    """

    left_on: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    crashed: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    data: str = "kept"

    @property
    def was_clean(self) -> bool:
        """Whether nobody had left anything behind."""
        return not (self.left_on or self.crashed or self.found)

    def __str__(self) -> str:
        said = [f"left on, and now undone: {one}" for one in self.left_on]
        said += [f"had ended by itself, and now started again: {one}" for one in self.crashed]
        said += [f"lay on a link, and now taken off: {one}" for one in self.found]
        return "; ".join(said) or "nothing was left behind"


async def restore(live: Live, customers: Customers) -> Reset:
    """Undo what stands, start what is dead, and prove the rest. Raises EnvironmentBroken for what is not as before."""
    left = [f"{one.step.name} on {', '.join(one.step.on)}" for one in live.standing.values()]
    for standing in list(live.standing.values()):
        await live.end(standing.step)
    await _thaw(live)
    restarted = list(await live.revive(live.begun_alive))
    found = await _clear_links(live)
    if live.touched or restarted or found:
        restarted += await _until_well(live, customers)
        # A service that no journey needs and nobody can ask may have been ended meanwhile by a signal of just before.
        if late := await live.revive(live.begun_alive):
            restarted += [*late, *await _until_well(live, customers)]
    live.touched = False
    exits = (await live.estate.exits())[live.seen_exits :]
    live.seen_exits += len(exits)
    crashed = tuple(f"{one.service} ({one.status})" for one in exits if one.service in restarted)
    return Reset(tuple(left), tuple(restarted), crashed, tuple(found))


async def _thaw(live: Live) -> None:
    """SIGCONT to whatever is still stopped, whoever stopped it."""
    processes = live.estate.processes
    for service in live.begun_alive:
        tree = await processes.tree(service)
        if any(processes.state(one) == "stopped" for one in tree):
            await live.estate.undo(Undo(steps=(SignalUndo(processes=tree),)))


async def _clear_links(live: Live) -> list[str]:
    """What lay on links; they are read back as open and bare."""
    links = live.estate.links
    names = [link.name for link in live.plan.system.links]
    standings = await asyncio.gather(*(links.clear(name) for name in names))
    wrong = []
    for name, standing in zip(names, standings, strict=True):
        if standing.toxics:
            wrong.append(f"{name} still has {', '.join(standing.toxics)}")
        elif not standing.enabled:
            wrong.append(f"{name} lets nobody in")
    if wrong:
        raise EnvironmentBroken(f"links did not come back: {'; '.join(wrong)}")
    found = zip(names, standings, strict=True)
    return [f"{', '.join(one.found)} on {name}" for name, one in found if one.found]


async def _until_well(live: Live, customers: Customers) -> list[str]:
    """Wait until everybody answers and is served; returns services that were started while waiting.

    A signal that was sent just before takes effect a little later on a busy machine: what it stopped or ended is
    looked for again until all is well.
    """
    system = live.plan.system
    last: dict[str, str] = {}
    started: list[str] = []
    mending = asyncio.create_task(_mend_again(live, started))
    try:
        async with asyncio.timeout(WELL_WITHIN_S):
            await asyncio.gather(*(_answers(live, service, last) for service in live.begun_answering))
            await asyncio.gather(*(_served(customers, name, last) for name in _readers(live)))
    except TimeoutError:
        told = "; ".join(f"{who}: {why}" for who, why in last.items())
        raise EnvironmentBroken(f"not well again within {WELL_WITHIN_S:g} s: {told}") from None
    finally:
        mending.cancel()
        await asyncio.gather(mending, return_exceptions=True)
    for name, role in system.roles.items():
        if role.standby in live.begun_alive and not live.stage.fenced:
            await until_streaming(name, role, live.estate.direct(role.primary), WELL_WITHIN_S)
    return started


async def _mend_again(live: Live, started: list[str]) -> None:
    while True:
        await asyncio.sleep(_MEND_AGAIN_S)
        await _thaw(live)
        started += await live.revive(live.begun_alive)


async def _answers(live: Live, service: str, last: dict[str, str]) -> None:
    """Return when the service answers its own protocol, directly."""
    while (why := await live.look(service)) is not None:
        last[service] = why
        await asyncio.sleep(_LOOK_AGAIN_S)
    last.pop(service, None)


def _readers(live: Live) -> Mapping[str, object]:
    """Journeys that change nothing, so that they may be played to see whether customers are served."""
    return {name: one for name, one in live.plan.system.journeys.items() if one.reads}


async def _served(customers: Customers, journey: str, last: dict[str, str]) -> None:
    """Return when a customer who only reads is served well."""
    while True:
        answer = await customers.attempt(journey, _READ_S, {})
        if answer.ok:
            last.pop(journey, None)
            return
        last[journey] = answer.error or answer.outcome
        await asyncio.sleep(_LOOK_AGAIN_S)
