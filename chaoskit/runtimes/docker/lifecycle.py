"""Starting and stopping services: their containers, until they listen and their health checks pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker import health, services
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.health import HealthCheck
from chaoskit.runtimes.docker.logs import Logs
from chaoskit.runtimes.docker.services import Recipe, Replica
from chaoskit.runtimes.docker.watch import Callees, in_words, unheard
from chaoskit.runtimes.readiness import with_tail
from chaoskit.runtimes.secrets import ReplacedSecrets

START_S = 60.0
"""How long a service without a health check may take until it listens."""
_GONE_S = 20.0


@dataclass(frozen=True)
class Prepared:
    """What is started for a service: a recipe for each replica. `revived` if its restart policy brings it back.

    `task` is one that others wait for to have ended well; it serves nobody. `ports` has the main one first. One
    that is `called` has a link, a role or a protocol, and is waited for until it listens; of another one it is not
    known whether its image's EXPOSE is ever used, and Compose would not ask either.
    """

    service: str
    recipes: tuple[Recipe, ...]
    ports: tuple[int, ...]
    health: HealthCheck | None
    stop_grace_s: float
    task: bool = False
    revived: bool = False
    called: bool = True

    @property
    def may_end(self) -> bool:
        """Whether it may end well by itself: a job, which serves nobody."""
        return self.task or not (self.ports or self.health or self.revived)

    @property
    def within_s(self) -> float:
        """Its start limit."""
        if self.health is None:
            return START_S
        return START_S + self.health.within_s + self.health.timeout_s


class DockerLifecycle:
    """Capability `lifecycle`. `started` and `ready` are set by the first start of each service."""

    def __init__(
        self,
        engine: Engine,
        prepared: Mapping[str, Prepared],
        replicas: Mapping[str, Sequence[Replica]],
        links: Callees,
        logs: Logs,
    ) -> None:
        self._engine = engine
        self._prepared = prepared
        self._replicas = replicas
        self._links = links
        self._logs = logs
        self._locks = {name: asyncio.Lock() for name in prepared}
        self._given_up: dict[str, Any] = {}
        self.secrets = ReplacedSecrets()
        self.started = {name: asyncio.Event() for name in prepared}
        self.ready = {name: asyncio.Event() for name in prepared}

    def log_path(self, service: str) -> Path:
        """The service's own log, in the run folder."""
        return self._logs.path(service)

    def asked(self, service: str) -> None:
        """What ends now has been asked to."""
        for replica in self._replicas[service]:
            replica.asked = True

    async def start(self, service: str) -> None:
        """Start it and wait until it is ready. A fenced service's links stay down; its file system is used again.

        Raises EnvironmentBroken with the end of its log when it ends first, at its start limit, and when it runs
        already though no restart policy has brought it back.
        """
        prepared = self._prepared[service]
        async with self._locks[service]:
            try:
                async with asyncio.timeout(prepared.within_s):
                    await self._start(prepared)
            except TimeoutError:
                what = unheard(self._replicas[service], prepared.ports)
                raise await self._broken(
                    service, f"{service} was not ready within {prepared.within_s:g} s{what}"
                ) from None
        self.ready[service].set()

    async def stop(self, service: str) -> None:
        """Its stop signal, `stop_grace_period`, SIGKILL; then its links refuse. No restart policy brings it back."""
        grace_s = self._prepared[service].stop_grace_s
        async with self._locks[service]:
            self.asked(service)
            running = [one for one in self._replicas[service] if one.id]
            await asyncio.gather(*(services.stop(self._engine, one, grace_s) for one in running))
        await self._links.mirror(service, "refused")

    async def renew(self, service: str, change: Callable[[Recipe], Recipe]) -> None:
        """Have its containers, which have been stopped, made anew at the next start: by changed recipes.

        `change` gets what the Compose file makes of them, whatever they were made by last.
        """
        replicas = self._replicas[service]
        async with self._locks[service]:
            for replica, recipe in zip(replicas, self._prepared[service].recipes, strict=True):
                if replica.id:
                    await asyncio.wait_for(replica.ended.wait(), _GONE_S)
                    await services.remove(self._engine, replica)
                replica.recipe = change(recipe)
                replica.ended.clear()

    async def give_up(self, service: str) -> None:
        """Set its restart policy aside until it is started again: what is dead stays dead."""
        for replica in self._replicas[service]:
            if replica.id and replica.id not in self._given_up:
                found = await services.look(self._engine, replica)
                policy = found["HostConfig"]["RestartPolicy"]
                await self._set_policy(replica, {"Name": "no"})
                self._given_up[replica.id] = policy

    async def _set_policy(self, replica: Replica, policy: Any) -> None:
        api = self._engine.client.api
        await self._engine.do(
            f"set the restart policy of {replica.service}",
            lambda: api.update_container(replica.id, restart_policy=policy),
        )

    # -- starting -------------------------------------------------------------------------------------

    async def _start(self, prepared: Prepared) -> None:
        replicas = self._replicas[prepared.service]
        await asyncio.gather(*(self._start_one(prepared, replica) for replica in replicas))
        self.started[prepared.service].set()
        if prepared.task:
            await asyncio.gather(*(self._until_done(prepared, replica) for replica in replicas))
            return
        await asyncio.gather(*(self._until_ready(prepared, replica) for replica in replicas))

    async def _start_one(self, prepared: Prepared, replica: Replica) -> None:
        if replica.id and replica.running and replica.asked:
            await asyncio.wait_for(replica.ended.wait(), _GONE_S)
        await self._tell(replica)
        if not replica.id:
            await services.create_and_start(self._engine, replica)
            return
        await services.look(self._engine, replica)
        if replica.id in self._given_up:
            await self._set_policy(replica, self._given_up.pop(replica.id))
        if replica.running:
            if prepared.revived:
                return
            raise EnvironmentBroken(f"{prepared.service} is running already")
        # The engine may not have told of its end yet; heard after the start, it would be taken for the new one's.
        await asyncio.wait_for(replica.ended.wait(), _GONE_S)
        replica.ended.clear()
        await services.start_again(self._engine, replica)

    async def _tell(self, replica: Replica) -> None:
        """What its environment holds of secrets that were replaced reaches a container only when that is made."""
        options = replica.recipe.options
        before = options.get("environment") or {}
        told = self.secrets.told(before)
        if told == before or replica.running:
            return
        if replica.id:
            await asyncio.wait_for(replica.ended.wait(), _GONE_S)
            self._given_up.pop(replica.id, None)
            await services.remove(self._engine, replica)
            replica.ended.clear()
        replica.recipe = replace(replica.recipe, options={**options, "environment": told})

    async def _until_done(self, prepared: Prepared, replica: Replica) -> None:
        await replica.ended.wait()
        while replica.exit_code != 0 and prepared.revived:  # its restart policy has it try again
            replica.ended.clear()
            await replica.ended.wait()
        if replica.exit_code != 0:
            how = in_words(replica.exit_code, replica.out_of_memory)
            raise await self._broken(
                replica.service, f"{replica.service} ended ({how}), and others wait for it to end well"
            )

    async def _until_ready(self, prepared: Prepared, replica: Replica) -> None:
        if prepared.health is None:
            if prepared.called:
                await self._unless_ended(prepared, replica, replica.listening.wait())
            return
        check = health.until_healthy(
            self._engine, prepared.service, replica.id, prepared.health, replica.listening
        )
        await self._unless_ended(prepared, replica, check)
        # Healthy on a port that nobody declared, or on its own loopback alone: it is up as far as can be known.
        if not replica.listening.is_set():
            await self._links.listens(prepared.service)

    async def _unless_ended(self, prepared: Prepared, replica: Replica, work: Awaitable[Any]) -> None:
        """Wait for `work`; an end that no restart policy mends breaks it off."""
        working = asyncio.ensure_future(work)
        ended = asyncio.ensure_future(replica.ended.wait())
        try:
            awaited = {working} if prepared.revived else {working, ended}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return
        finally:
            working.cancel()
            ended.cancel()
        if prepared.may_end and replica.exit_code == 0:
            return
        how = in_words(replica.exit_code, replica.out_of_memory)
        raise await self._broken(prepared.service, f"{prepared.service} ended ({how}) before it was ready")

    async def _broken(self, service: str, message: str) -> EnvironmentBroken:
        for replica in self._replicas[service]:
            if replica.ended.is_set():
                await self._logs.last_words(replica.id)
        return EnvironmentBroken(with_tail(message, self.log_path(service)))
