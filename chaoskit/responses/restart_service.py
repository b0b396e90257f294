"""restart-service: a service is started again, unless that would make a second writer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines.fence import prove_dead
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.engines.toxic_plan import give_network_back
from chaoskit.errors import EnvironmentBroken, ServiceDown
from chaoskit.model.followers import followers
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.system import DatabaseRole, System
from chaoskit.registry import register

_AS_STANDBY = ("in archive recovery", "shut down in recovery")


@register("responses", "restart-service")
@dataclass(frozen=True)
class RestartService:
    """Starts the services named by `on:` as their runtime does and waits until they are ready.

    Links that were taken down because the service was dead come back when it listens; after `host.loss` those that
    lead from it come back before the start, as on another host. A member of a database role is started only when its
    partner is no writer: an old primary beside a promoted standby would be a second one, so that is refused, unless it
    has rejoined and its own control file says that it follows; and so is a start where the partner lives and does not
    say what it is. After the start both are asked; should both
    accept writes all the same, the one just started is stopped again.

    Fidelity on `local`: the same command line in the same data directory; recovery from a crash is real.

        timeline:
          - when: {down: ledger, every: 250ms, misses: 3}
            respond: restart-service
            on: ledger
    """

    requires: ClassVar[frozenset[str]] = frozenset({"lifecycle", "links", "processes"})

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for nothing to start."""
        if not on:
            raise ValueError("`restart-service` needs `on:` with the services to start")

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        if not on:
            raise ResponseFailed("restart-service needs `on:` with the services to start")
        done = await asyncio.gather(
            *(self._restart(service, context) for service in on), return_exceptions=True
        )
        for failure in done:  # when none is being started any more
            if isinstance(failure, BaseException):
                raise failure

    async def _restart(self, service: str, context: ResponseContext) -> None:
        begun = monotonic_ns()
        system = context.estate.plan.system
        name = system.role_of(service)
        role = system.roles[name] if name is not None else None
        if role is not None:
            await _refuse_second_writer(service, role, context)
        await give_network_back(service, context.estate)
        try:
            await context.estate.lifecycle.start(service)
        except EnvironmentBroken as error:
            raise ResponseFailed(f"{service} did not start: {error}") from error
        if role is not None:
            await _stop_second_writer(service, role, context)
        after_ms = elapsed_ms(begun)
        context.record("started", service=service, after_ms=after_ms)


def _partner(service: str, role: DatabaseRole) -> str | None:
    return role.standby if service == role.primary else role.primary


async def _refuse_second_writer(service: str, role: DatabaseRole, context: ResponseContext) -> None:
    # A standby may start beside a writer; whether it has meanwhile become one itself is asked after its start.
    if service != role.primary or role.standby is None:
        return
    state = await _in_recovery(role.standby, role, context)
    if state is False and not await _follows(service, context):
        raise ResponseFailed(
            f"{role.standby} is the writer now: {service} would be a second one, so it stays down"
        )
    if state is None and await prove_dead(role.standby, context.estate) is None:
        raise ResponseFailed(f"{role.standby} lives and does not say whether it writes: {service} stays down")


async def _follows(service: str, context: ResponseContext) -> bool:
    """Whether the stopped member was a standby to the end, by its control file. A false word does no harm: what it is
    is asked again after its start."""
    if "followers" not in context.estate.capabilities:
        return False
    try:
        return (await followers(context.estate).control(service)).state in _AS_STANDBY
    except EnvironmentBroken:
        return False


async def _stop_second_writer(service: str, role: DatabaseRole, context: ResponseContext) -> None:
    partner = _partner(service, role)
    if partner is None:
        return
    mine, theirs = await asyncio.gather(
        _in_recovery(service, role, context), _in_recovery(partner, role, context)
    )
    if mine is False and theirs is False:
        await context.estate.lifecycle.stop(service)
        raise ResponseFailed(f"{service} and {partner} both accepted writes: {service} was stopped again")


async def _in_recovery(service: str, role: DatabaseRole, context: ResponseContext) -> bool | None:
    """Whether it is a standby now; None when it does not say."""
    try:
        return await PostgreSQL(context.estate.direct(service), role).in_recovery()
    except (EngineError, ServiceDown):
        return None
