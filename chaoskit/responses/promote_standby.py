"""promote-standby: the old primary is fenced, the standby becomes the primary, and proves it by a committed write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines.fence import Fence, NotFenced, fence_links, prove_dead
from chaoskit.engines.postgresql import CommittedWrite, PostgreSQL, Promotion
from chaoskit.engines.session import EngineError, QueryRefused
from chaoskit.model.estate import Estate
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.system import DatabaseRole, System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_LOOK_S = 0.05
_ANSWER_S = 5.0
_MS = 1_000_000
_LONG_NS = 1_000_000_000
_NO_WAIT = Duration.parse("0s")
_WITHIN = Duration.parse("30s")


@register("responses", "promote-standby")
@dataclass(frozen=True)
class PromoteStandby:
    """The standby of a database takes over from its primary.

    1. Fence. Undoing the faults on the old primary is superseded, and every link that leads to it is taken down for
       good. That it can acknowledge nothing more is proven: no process of it is left and its address refuses, or
       each link refuses a new connection and has ended one of our own from before. Without proof nothing is promoted.
    2. Catch up, if asked for: wait until the standby has received nothing new for `catch-up`. Only a dead primary
       leaves its replication link up meanwhile, so that what is on its way still arrives.
    3. Promote. An inherited `synchronous_standby_names`, at which every commit would hang, is cleared first. When it
       takes a second or more, how much had been received and not replayed is told.
    4. Prove it by a committed write, made as the application's role. A write that is refused is told at once, and tried
       again until `within` has passed: somebody may be mending the reason.

    Acts on the standby named by `on:`, else on the one that the system's runbook `promote-standby` names, else on that
    of its only database role. Each step is recorded with its time.
    Fidelity on `local`: real PostgreSQL, `pg_promote`; the fence is the links' proxies and the kernel.

        timeline:
          - when: {down: ledger-db, every: 100ms, misses: 3}
            respond: promote-standby
            decision: {role: duty-manager, takes: 2m}
    """

    catch_up: Annotated[
        Duration,
        Field(description="wait until the standby has received nothing new for this long; 0s does not wait"),
    ] = _NO_WAIT
    within: Annotated[
        Duration, Field(description="deadline of catching up, and again of promotion and its proof")
    ] = _WITHIN
    requires: ClassVar[frozenset[str]] = frozenset({"processes", "links"})

    def __post_init__(self) -> None:
        if not self.within.ns:
            raise ValueError("within is 0s; a promotion takes time")
        if self.catch_up >= self.within:
            raise ValueError(f"catch-up {self.catch_up} cannot be seen within {self.within}; raise `within`")

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for anything but one member of a pair."""
        _members(on, system)

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        estate = context.estate
        try:
            standby, old, role = _members(on, estate.plan.system)
        except ValueError as error:
            raise ResponseFailed(str(error)) from error
        server = PostgreSQL(estate.direct(standby), role)
        begun = monotonic_ns()
        try:
            if not await server.in_recovery(_ANSWER_S):
                raise ResponseFailed(f"{standby} is not in recovery: there is nothing to promote")
            fence = await self._fence(old, server, context)
            _record(context, "fenced", begun, service=old, how=fence.how)
            # Side by side: an outage lasts while we look.
            promotion, behind = await asyncio.gather(server.promote(self.within.s), _unreplayed(server))
            if promotion.cleared:
                _record(context, "synchronous-cleared", begun, service=standby, was=promotion.cleared)
            _record(
                context,
                "promoted",
                begun,
                service=standby,
                timeline=promotion.timeline,
                took_ms=round((promotion.left_recovery_ns - promotion.asked_ns) / _MS, 1),
                **_waited_for(behind, promotion),
            )
            write = await self._proof(server, context, begun)
        except (EngineError, NotFenced) as error:
            raise ResponseFailed(f"{standby} is not proven to be the primary: {error}") from error
        _record(
            context,
            "writable",
            begun,
            service=standby,
            lsn=write.lsn,
            xid=write.xid,
            write_ms=round(write.took_ns / _MS, 1),
        )

    async def _fence(self, old: str, server: PostgreSQL, context: ResponseContext) -> Fence:
        # Before anything else: from now on no undo brings the old primary back as a second writer.
        await context.supersede(old)
        dead = await prove_dead(old, context.estate)
        if dead is None:
            fence = await fence_links(old, context.estate)
            await self._catch_up(server, context)
            return fence
        await self._catch_up(server, context)
        return await _keep_dead(old, dead, context.estate)

    async def _proof(self, server: PostgreSQL, context: ResponseContext, begun: int) -> CommittedWrite:
        """A committed write; one that is refused is told and tried again, for somebody may be mending the reason."""
        deadline = monotonic_ns() + self.within.ns
        told = ""
        while True:
            try:
                return await server.committed_write(max(_LOOK_S, (deadline - monotonic_ns()) / 1e9))
            except QueryRefused as refused:
                if str(refused) != told:
                    told = str(refused)
                    _record(context, "refused", begun, why=told)
                if monotonic_ns() + int(_LOOK_S * 1e9) >= deadline:
                    raise
            except EngineError as error:
                if not told:
                    raise
                # The last try has little time left for an answer; why it came to that was told before.
                raise EngineError(f"{told}; and at last: {error}") from error
            await asyncio.sleep(_LOOK_S)  # it is mended without an event for those outside

    async def _catch_up(self, server: PostgreSQL, context: ResponseContext) -> None:
        if not self.catch_up.ns:
            return
        begun = monotonic_ns()
        deadline = begun + self.within.ns
        lag = first = await server.lag(_ANSWER_S)
        quiet_since = begun
        while monotonic_ns() - quiet_since < self.catch_up.ns:
            if monotonic_ns() > deadline:
                raise ResponseFailed(f"the standby was still receiving {self.within} after the fence")
            await asyncio.sleep(_LOOK_S)  # the log arrives without an event for those outside
            now = await server.lag(_ANSWER_S)
            if now.received_bytes != lag.received_bytes:
                lag, quiet_since = now, monotonic_ns()
        received = lag.received_bytes - first.received_bytes
        _record(context, "caught-up", begun, received_bytes=received)


def _members(on: Sequence[str], system: System) -> tuple[str, str, DatabaseRole]:
    """(standby, old primary, role). Raises ValueError, first while planning."""
    roles = {name: role for name, role in system.roles.items() if role.standby is not None}
    runbook = system.runbooks.get("promote-standby")
    wanted = tuple(on) or ((runbook.on,) if runbook is not None and runbook.on else ())
    if not wanted and len(roles) == 1:
        wanted = tuple(str(role.standby) for role in roles.values())
    if len(wanted) != 1:
        raise ValueError(f"`promote-standby` acts on one standby, not on {', '.join(wanted) or 'none'}")
    for name, role in roles.items():
        if wanted[0] in (role.standby, f"{name}.standby"):
            return str(role.standby), role.primary, role
        if wanted[0] == role.primary:
            return role.primary, str(role.standby), role
    raise ValueError(f"{wanted[0]} is no member of a database role that has a standby")


async def _keep_dead(old: str, dead: Fence, estate: Estate) -> Fence:
    """Death is the fence; the links to it are taken down as well, should anybody start it again."""
    try:
        links = await fence_links(old, estate)
    except NotFenced as reason:
        return Fence(f"{dead.how} (its links: {reason})")
    return Fence(f"{dead.how}; {links.how}")


async def _unreplayed(server: PostgreSQL) -> int:
    """Bytes that the standby has received and not replayed; 0 where it does not say."""
    try:
        lag = await server.lag(_ANSWER_S)
    except EngineError:
        return 0
    return max(0, lag.received_bytes - lag.replayed_bytes)


def _waited_for(behind: int, promotion: Promotion) -> dict[str, int]:
    """What a promotion that took long had to replay first: it was received, so it delays and is not lost."""
    took_ns = promotion.left_recovery_ns - promotion.asked_ns
    return {"replay_lag_bytes": behind} if behind and took_ns >= _LONG_NS else {}


def _record(context: ResponseContext, fact: str, since_ns: int, **facts: object) -> None:
    after_ms = elapsed_ms(since_ns)
    context.record(fact, after_ms=after_ms, **facts)
