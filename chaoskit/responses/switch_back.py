"""switch-back: a planned change of roles under load: a clean shutdown, then the standby takes over; loss 0."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines import redundancy
from chaoskit.engines.fence import prove_dead
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.followers import followers
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.system import DatabaseRole, System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_ANSWER_S = 5.0
_CHECKPOINT_S = 30.0
_LOOK_S = 0.01
_WITHIN = Duration.parse("30s")


@register("responses", "switch-back")
@dataclass(frozen=True)
class SwitchBack:
    """The standby named by `on:` becomes the primary again, and the primary its standby, while customers go on.

    1. The standby must stream, and catch up, before anything is stopped; a checkpoint keeps the pause short.
    2. The primary is shut down cleanly: it confirms nothing more, and waits until its standby has all that it ever
       confirmed. From here on writes pause.
    3. The standby must have replayed up to the shutdown checkpoint in the old primary's control file. Where it has not,
       the old primary is started again, and nobody is promoted: nothing can be lost.
    4. Promotion. The old primary is started as its standby, and a committed write proves the new one. Writes have
       paused until here, and how long is recorded; under synchronous replication that includes the new standby's start.

    Without `on:` it is the primary of the system's only pair. It is no answer to a failure: nothing comes back by it.
    Fidelity on `local`: (and `docker`) PostgreSQL's own fast shutdown, `pg_controldata` and `pg_promote`.

        timeline:
          - when: {recovered: transfer}
            respond: switch-back
            on: ledger-db
    """

    within: Annotated[
        Duration, Field(description="deadline of catching up, of replaying the rest, and of the proof, each")
    ] = _WITHIN
    requires: ClassVar[frozenset[str]] = frozenset({"followers", "lifecycle", "processes", "links"})
    recovers: ClassVar[bool] = False

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, where there is no pair, or `on:` is no member of one."""
        redundancy.member_of(on, "switch-back", system)

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        estate, begun = context.estate, monotonic_ns()
        new, old, role = redundancy.member_of(on, "switch-back", estate.plan.system)
        try:
            await self._ready(new, old, role, context)
            await redundancy.checkpoint(estate.direct(old), role, _CHECKPOINT_S)
        except EngineError as error:
            raise ResponseFailed(f"{old} stays the primary, and nothing was stopped: {error}") from error
        context.record("caught-up", service=new, follows=old, after_ms=elapsed_ms(begun))
        paused = monotonic_ns()
        server = PostgreSQL(estate.direct(new), role)
        await self._hand_over(new, old, role, context)
        context.record("stopped", service=old, after_ms=elapsed_ms(begun), paused_ms=elapsed_ms(paused))
        try:
            promotion = await server.promote(self.within.s, clear=False)
            context.record("promoted", service=new, timeline=promotion.timeline, after_ms=elapsed_ms(begun))
            proof = asyncio.ensure_future(server.committed_write(self.within.s))
            try:
                over = await self._follow(old, new, context)
            finally:
                written = (await asyncio.gather(proof, return_exceptions=True))[0]
            if isinstance(written, BaseException):
                raise written
            seen = await redundancy.until_follows(role, estate, 0, self.within.s)
        except (EngineError, EnvironmentBroken) as error:
            raise ResponseFailed(
                f"{new} is not proven to be the primary with {old} behind it: {error}"
            ) from error
        if seen is None:
            raise ResponseFailed(f"{old} was started and did not stream from {new} within {self.within}")
        context.record(
            "switched",
            service=new,
            follows=old,
            paused_ms=round((written.at_ns - paused) / 1e6, 1),
            over=over,
            lsn=written.lsn,
            after_ms=elapsed_ms(begun),
        )

    async def _ready(self, new: str, old: str, role: DatabaseRole, context: ResponseContext) -> None:
        seen = await redundancy.look(role, context.estate, _ANSWER_S)
        if seen.writer == new:
            raise ResponseFailed(f"{new} is the primary already")
        if seen.writer != old or seen.replayed is None:
            why = seen.why or f"{new} does not stream from {old}"
            raise ResponseFailed(f"{new} cannot take over, and nothing was stopped: {why}")
        if await redundancy.until_follows(role, context.estate, seen.at, self.within.s) is None:
            raise ResponseFailed(
                f"{new} did not catch up with {old} within {self.within}; nothing was stopped"
            )

    async def _hand_over(self, new: str, old: str, role: DatabaseRole, context: ResponseContext) -> None:
        """Stop the old primary; return when the new one has replayed all of it. Else the old one is started again."""
        estate = context.estate
        try:
            await estate.lifecycle.stop(old)
            if await prove_dead(old, estate) is None:
                raise ResponseFailed(f"{old} was stopped and is still there")
            control = await followers(estate).control(old)
            if not control.clean:
                raise ResponseFailed(
                    f"{old} did not shut down cleanly: its control file says {control.state!r}"
                )
            server, deadline = PostgreSQL(estate.direct(new), role), monotonic_ns() + self.within.ns
            while (await server.lag(_ANSWER_S)).replayed_bytes <= control.at:
                if monotonic_ns() > deadline:
                    raise ResponseFailed(f"{new} had not replayed all of {old} after {self.within}")
                await asyncio.sleep(_LOOK_S)  # another process replays, and there is no event to wait for
        except (ResponseFailed, EngineError, EnvironmentBroken) as error:
            await estate.lifecycle.start(old)
            raise ResponseFailed(f"{error}. Nobody was promoted; {old} is the primary again") from error

    async def _follow(self, old: str, new: str, context: ResponseContext) -> str:
        over = await followers(context.estate).follow(old, new)
        await context.estate.lifecycle.start(old)
        return over
