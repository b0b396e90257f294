"""writers: who of a pair takes writes, tried again and again on both members at once."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, replace
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.engines import replication
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError, QueryRefused
from chaoskit.errors import ServiceDown
from chaoskit.model.estate import Estate
from chaoskit.model.member import Look
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import DatabaseRole, System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_EVERY, _LASTING, _LASTING_MAX = (Duration.parse(text) for text in ("200ms", "8s", "15s"))
_ANSWER_S = 0.5
WRITERS = "writers"


@dataclass(frozen=True)
class _Taken:
    """The writes that one member has committed: when the first was there, and when the last was asked for.

    `at_once`: it took the very first, so that nobody knows since when it takes them. `spells`: the same, for each time
    that it was no standby; one that is silent, or dead, may be the primary all the same.
    """

    member: str
    count: int = 0
    tried: int = 0
    at_once: bool = False
    first_ns: int = 0
    last_ns: int = 0
    spells: tuple[tuple[int, int], ...] = ()
    follows: bool = False


@register("probes", WRITERS)
@dataclass(frozen=True)
class Writers:
    """Tries a write on the primary and on its standby, past every proxy, over and over; good when never both took it.

    A failover has a moment in which two servers could take payments, and afterwards nothing may show it: the old one
    has stopped, and what it took is gone. So each member is asked all the time, by a session of its own, to commit a
    write as the application's role (a message in its log, which needs no table). It counts when it is acknowledged: a
    server that hangs or refuses takes nothing. Two take writes when one still does after the other has begun to; one
    that says in between that it is a standby has handed over, and may be switched back to.

    It is a step of the timeline and lasts for `lasting`; `one-writer` judges what it saw, and is unknown where it
    looked too late, or not long enough, to see the change from one to the other. Detection never chooses it.

        timeline:
          - at: 0s
            probe: writers
            on: ledger-db-standby
    """

    every: Annotated[Duration, Field(description="how often each member is asked for a write")] = _EVERY
    lasting: Annotated[Duration, Field(description="for how long; at most 15s")] = _LASTING

    judged_by: ClassVar[str] = "one-writer"

    def __post_init__(self) -> None:
        if not self.every.ns or self.lasting < self.every or self.lasting > _LASTING_MAX:
            raise ValueError(
                f"lasting is {self.lasting} and every {self.every}: write 0s < every ≤ lasting ≤ {_LASTING_MAX}"
            )

    @classmethod
    def fits(cls, system: System, service: str) -> int:
        return 0

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that is no standby."""
        replication.pair_of(target, system)
        return ()

    async def look(self, service: str, estate: Estate, timeout_s: float) -> Look:
        pair = replication.pair_of(service, estate.plan.system)
        begun = monotonic_ns()
        seen = await asyncio.gather(
            *(self._ask(member, pair.role, estate, begun) for member in (pair.primary, pair.standby))
        )
        told = "; ".join(_told(one, begun) for one in seen)
        facts = {"writers": [asdict(one) for one in seen]}
        one, other = seen
        if both := [ns for mine in one.spells for its in other.spells if (ns := _both(mine, its))]:
            found = f"{one.member} and {other.member} both took writes for {sum(both) / 1e9:.2f} s: {told}"
            return Look(False, found, (found,), facts)
        return Look(True, f"never both took writes: {told}", facts=facts)

    async def _ask(self, member: str, role: DatabaseRole, estate: Estate, begun: int) -> _Taken:
        taken = _Taken(member)
        due = begun
        while due < begun + self.lasting.ns:
            taken = await _tried(taken, PostgreSQL(estate.direct(member), role))
            due = max(due + self.every.ns, monotonic_ns())
            await asyncio.sleep((due - monotonic_ns()) / 1e9)
        return taken


async def _tried(taken: _Taken, server: PostgreSQL) -> _Taken:
    """What a member has taken after one more try."""
    asked = monotonic_ns()
    try:
        write = await server.committed_write(_ANSWER_S)
    except (EngineError, ServiceDown) as error:  # refused, dead or hanging: none of them takes a payment
        refused = isinstance(error, QueryRefused)
        follows = taken.follows or (refused and await _follows(server))
        return replace(taken, tried=taken.tried + 1, follows=follows)
    before = taken.spells
    goes_on = bool(before) and not taken.follows
    spells = (*before[:-1], (before[-1][0], asked)) if goes_on else (*before, (write.at_ns, asked))
    return replace(
        taken,
        count=taken.count + 1,
        tried=taken.tried + 1,
        at_once=taken.at_once or not taken.tried,
        first_ns=taken.first_ns or write.at_ns,
        last_ns=asked,
        spells=spells,
        follows=False,
    )


async def _follows(server: PostgreSQL) -> bool:
    try:
        return await server.in_recovery(_ANSWER_S)
    except (EngineError, ServiceDown):
        return False  # nobody knows: it may be the primary, and too busy


def _both(mine: tuple[int, int], its: tuple[int, int]) -> int:
    """For how long both took writes, ns; 0: one began when the other had its last."""
    if not (mine[0] < its[1] and its[0] < mine[1]):
        return 0
    return max(1, min(mine[1], its[1]) - max(mine[0], its[0]))


def _told(one: _Taken, begun: int) -> str:
    if not one.count:
        return f"{one.member} took none of {one.tried}"
    spells = (
        f"from {(first - begun) / 1e9:.2f} s to {(last - begun) / 1e9:.2f} s" for first, last in one.spells
    )
    return f"{one.member} took {one.count} of {one.tried}, {' and '.join(spells)}"
