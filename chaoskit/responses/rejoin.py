"""rejoin: the member that fell out follows the new primary, so that the next failure finds a standby again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines import redundancy, tree
from chaoskit.engines.dialect import knock
from chaoskit.engines.fence import prove_dead
from chaoskit.engines.session import EngineError
from chaoskit.engines.toxic_plan import give_network_back
from chaoskit.errors import EnvironmentBroken, ServiceDown
from chaoskit.model.estate import Estate
from chaoskit.model.followers import Copied, NotRewound, followers
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.system import DatabaseRole, System
from chaoskit.quantity import Duration, Size
from chaoskit.registry import register

_ANSWER_S = 5.0
_DEAD_S = 10.0
_RATE_MIN, _RATE_MAX = 32 * 1024, 1024 * 1024 * 1024
_LOOK_S = 0.1
_STREAMS_S = 10.0
_WITHIN = Duration.parse("60s")


@register("responses", "rejoin")
@dataclass(frozen=True)
class Rejoin:
    """The failed old primary becomes the standby of the new one.

    1. Only beside a writer. The other member must say that it accepts writes. The one to rejoin must be dead, or
       follow, or be out of everybody's reach by a fence; it is ended then. Where it may be the only writer, or a
       second one that customers reach, nothing is touched.
    2. Its data. `rewind` takes back what it wrote after the new primary had left its history, and fetches what differs
       (pg_rewind). Where that is not possible, or it does not stream afterwards because the new primary no longer has
       the log from there on, the reason is told, and a base backup is made as with `base-backup`. What was there is
       kept beside it until the run ends; when the work fails it is back in its place.
    3. It is started, and has to stream from the new primary. Then its fence is taken back.

    Should the new primary die meanwhile, that is told, and the work begins anew once it accepts writes again.

    Which way it went, how much was copied, how long it took and why are recorded, with the primary's position when it
    ended: the clock `redundancy-restored` runs until the standby has replayed as far as that.
    Fidelity on `local`: (and `docker`) PostgreSQL's own tools, there in a container beside the stopped one. Without a
    declared link the log flows over a direct connection.

        timeline:
          - when: {done: promote-standby}
            respond: rejoin
            on: ledger-db
    """

    method: Annotated[
        Literal["rewind", "base-backup"],
        Field(description="rewind, and a base backup where that fails; or a base backup at once"),
    ] = "rewind"
    rate: Annotated[
        Size | None,
        Field(
            description="most bytes a second that a base backup takes, to spare the primary; none: no limit"
        ),
    ] = None
    within: Annotated[
        Duration,
        Field(description="deadline of all of it, and of waiting for a new primary that died meanwhile"),
    ] = _WITHIN
    requires: ClassVar[frozenset[str]] = frozenset({"followers", "lifecycle", "processes", "links"})

    def __post_init__(self) -> None:
        if self.rate is not None and not _RATE_MIN <= self.rate.bytes <= _RATE_MAX:
            raise ValueError(f"rate is {self.rate}; a base backup can be held to 32KiB to 1GiB a second")

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, where there is no pair, or `on:` is no member of one."""
        redundancy.member_of(on, "rejoin", system)

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        estate, begun = context.estate, monotonic_ns()
        mine, source, role = redundancy.member_of(on, "rejoin", estate.plan.system)
        deadline = begun + self.within.ns
        while True:
            if await _follows(mine, source, role, context):
                return
            try:
                await self._once(mine, source, role, context, begun)
            except (EngineError, EnvironmentBroken) as error:
                if await _writes(source, role, estate):
                    raise ResponseFailed(f"{mine} does not follow {source}: {error}") from error
                why = str(error).splitlines()[0]
                context.record("interrupted", service=mine, by=source, why=why, after_ms=elapsed_ms(begun))
            else:
                return
            while not await _writes(source, role, estate):
                if monotonic_ns() > deadline:
                    raise ResponseFailed(
                        f"{mine} does not follow {source}, which died meanwhile and accepts no writes {self.within} "
                        f"after the beginning"
                    )
                await asyncio.sleep(_LOOK_S)  # somebody else mends it, and there is no event to wait for

    async def _once(
        self, mine: str, source: str, role: DatabaseRole, context: ResponseContext, begun: int
    ) -> None:
        estate = context.estate
        await context.supersede(mine)
        await give_network_back(mine, estate)
        made = await self._rewound(mine, source, role, context, begun) if self.method == "rewind" else None
        why = ""
        if isinstance(made, str):
            why, made = made, None
            context.record("fell-back", service=mine, to="base-backup", why=why, after_ms=elapsed_ms(begun))
        if made is None:
            rate = None if self.rate is None else self.rate.bytes
            what = f"a base backup of {source}"
            copied = await self._in_time(followers(estate).copy(mine, source, rate), what, mine, begun)
            left_s = self._left_s(begun)
            made = await _started("base-backup", copied, mine, source, role, estate, left_s)
        if made is None:
            raise ResponseFailed(f"{mine} was started and did not stream from {source} within {self.within}")
        await context.readmit(mine)
        context.record(
            "rejoined",
            service=mine,
            follows=source,
            method=made.method,
            bytes=made.copied.bytes,
            seconds=round(made.copied.took_ns / 1e9, 3),
            **({"fell_back": why} if why else {}),
            over=made.over,
            position=made.position,
            after_ms=elapsed_ms(begun),
        )
        if monotonic_ns() > begun + self.within.ns:
            late = f"{mine} follows {source} since {elapsed_ms(begun) / 1000:.1f} s after the beginning"
            raise ResponseFailed(f"{late}, and {self.within} was the deadline")

    async def _rewound(
        self, mine: str, source: str, role: DatabaseRole, context: ResponseContext, begun: int
    ) -> _Made | str:
        """It follows, rewound; or why it cannot, and then nothing of it is left."""
        estate = context.estate
        try:
            copied = await self._in_time(followers(estate).rewind(mine, source), "rewinding", mine, begun)
        except NotRewound as reason:
            return str(reason)
        try:
            made = await _started("rewind", copied, mine, source, role, estate, _STREAMS_S)
        except EnvironmentBroken as error:
            # It was rewound to where both had been one, and the source may have thrown away its log since then.
            if not await _writes(source, role, estate):
                raise
            why = next(
                (line for line in str(error).splitlines() if "FATAL" in line), str(error).splitlines()[0]
            )
        else:
            if made is not None:
                return made
            why = f"rewound, it did not stream within {_STREAMS_S:g} s"
        await _end(mine, estate)
        return why.strip()

    def _left_s(self, begun: int) -> float:
        return max(0.0, (begun + self.within.ns - monotonic_ns()) / 1e9)

    async def _in_time(self, work: Coroutine[Any, Any, Copied], what: str, mine: str, begun: int) -> Copied:
        try:
            async with asyncio.timeout(self._left_s(begun)):
                return await work
        except TimeoutError:
            raise ResponseFailed(
                f"{what} for {mine} was not done within {self.within}, and was given up: it does not follow; raise "
                "`within`"
            ) from None


@dataclass(frozen=True)
class _Made:
    """How it came to follow; `position` is the primary's when it was seen to."""

    method: str
    copied: Copied
    over: str
    position: int


async def _started(
    method: str, copied: Copied, mine: str, source: str, role: DatabaseRole, estate: Estate, within_s: float
) -> _Made | None:
    """Start it on its new data; None where it does not stream. Raises EnvironmentBroken where it does not start."""
    over = await followers(estate).follow(mine, source)
    await estate.lifecycle.start(mine)
    seen = await redundancy.until_follows(role, estate, 0, within_s)
    return None if seen is None else _Made(method, copied, over, seen.at)


async def _follows(mine: str, source: str, role: DatabaseRole, context: ResponseContext) -> bool:
    """Whether it follows already; else nothing of it is left when this returns. Raises ResponseFailed where it is not
    certain that somebody else writes."""
    estate = context.estate
    try:
        other = await redundancy.ask(estate.direct(source), role, _ANSWER_S)
    except (EngineError, ServiceDown) as error:
        raise ResponseFailed(
            f"{source} does not say that it accepts writes, so {mine} may be the only writer and is not touched: "
            f"{error}"
        ) from error
    if not other.writes:
        raise ResponseFailed(
            f"{source} accepts no writes, so {mine} may be the only writer and is not touched"
        )
    if await prove_dead(mine, estate) is not None:
        return False
    if await _in_recovery(mine, role, estate):
        if other.replayed is not None:
            context.record("follows-already", service=mine, follows=source)
            return True
    elif open_links := await _reached_by(mine, estate):
        raise ResponseFailed(
            f"{mine} lives, and {', '.join(open_links)} leads to it: it may accept writes as {source} does. Fence it "
            "first; it is not touched"
        )
    await _end(mine, estate)
    return False


async def _end(service: str, estate: Estate) -> None:
    killed = await estate.processes.kill(service, revive=False)
    if await tree.until(estate.processes, killed, frozenset({"gone"}), _DEAD_S) is None:
        raise ResponseFailed(f"{service} was killed and is still there after {_DEAD_S:g} s")


async def _writes(service: str, role: DatabaseRole, estate: Estate) -> bool:
    try:
        return (await redundancy.ask(estate.direct(service), role, _ANSWER_S)).writes
    except (EngineError, EnvironmentBroken):
        return False


async def _in_recovery(service: str, role: DatabaseRole, estate: Estate) -> bool:
    """False also where it does not say."""
    try:
        return not (await redundancy.ask(estate.direct(service), role, _ANSWER_S)).writes
    except EngineError:
        return False


async def _reached_by(service: str, estate: Estate) -> list[str]:
    """Links that let anybody through to it."""
    found = []
    for link in estate.plan.system.links:
        if link.callee == service:
            answer = await knock(estate.links.address(link.name), _ANSWER_S)
            if answer.kind != "refused":
                found.append(link.name)
    return found
