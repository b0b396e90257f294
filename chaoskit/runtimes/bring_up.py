"""Brings an estate's services up in the order the Compose file asks for, then replication and the population."""

from __future__ import annotations

import asyncio
import graphlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from chaoskit.errors import ChaoskitError, EnvironmentBroken
from chaoskit.model.compose import ComposeService
from chaoskit.model.estate import Address
from chaoskit.model.system import System
from chaoskit.runtimes.population import populate, until_streaming

_POPULATE_S = 60.0


class Starting(Protocol):
    """What is asked of a lifecycle: each event is set by the first start of its service."""

    @property
    def started(self) -> Mapping[str, asyncio.Event]: ...

    @property
    def ready(self) -> Mapping[str, asyncio.Event]: ...

    async def start(self, service: str) -> None: ...


def is_task(system: System, name: str) -> bool:
    """Whether others wait for it to have ended well (a migration, say): it then serves nobody and has no port."""
    wanted = "service_completed_successfully"
    return any(service.depends_on.get(name) == wanted for service in system.services.values())


def before(system: System, service: str) -> dict[str, str]:
    """What must be there before the service starts, and how: Compose's depends_on, and whose namespaces and mounts it
    shares; a standby needs its primary.
    """
    conditions = {
        **dict.fromkeys(_shared(system.services[service].compose), "service_started"),
        **system.services[service].depends_on,
    }
    role = system.role_of(service)
    if role is not None and system.roles[role].standby == service:
        conditions[system.roles[role].primary] = "service_healthy"
    return conditions


def _shared(compose: ComposeService) -> list[str]:
    """Services whose running container this one is joined to, in whatever way."""
    modes = (compose.network_mode, compose.pid, compose.ipc)
    joined = [mode.removeprefix("service:") for mode in modes if mode and mode.startswith("service:")]
    return [*joined, *(name for name, _ in compose.volumes_from)]


def refuse_cycles(system: System) -> None:
    """Raises EnvironmentBroken, naming the services, when each of some waits for another."""
    graph = {name: set(before(system, name)) for name in system.services}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        raise EnvironmentBroken(
            f"depends_on goes in a circle: {' → '.join(error.args[1])}; break it in the Compose file"
        ) from None


async def bring_up(
    system: System,
    lifecycle: Starting,
    start_links: Awaitable[None],
    direct: Callable[[str], Address],
    stream_within_s: Callable[[str], float],
) -> None:
    """Start links and services side by side, each service as soon as what it depends on is there.

    Raises the first reason why something did not come up.
    """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_awaited(start_links))
            for service in system.services:
                group.create_task(_start_in_turn(system, lifecycle, service))
    except BaseExceptionGroup as several:
        raise _first(several) from None
    for name, role in system.roles.items():
        if role.standby is not None:
            await until_streaming(name, role, direct(role.primary), stream_within_s(role.standby))
    await populate(system, direct, _POPULATE_S)


async def _awaited(work: Awaitable[None]) -> None:
    await work


async def _start_in_turn(system: System, lifecycle: Starting, service: str) -> None:
    for other, condition in before(system, service).items():
        moments = lifecycle.started if condition == "service_started" else lifecycle.ready
        await moments[other].wait()
    await lifecycle.start(service)


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that says why: the others of a group that is torn down follow from it."""
    flat: list[BaseException] = []
    for error in several.exceptions:
        flat += [_first(error)] if isinstance(error, BaseExceptionGroup) else [error]
    return next((error for error in flat if isinstance(error, ChaoskitError)), flat[0])
