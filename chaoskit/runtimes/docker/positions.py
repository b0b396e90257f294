"""Capability `positions`: a program in a container of its own, in a service's network, told what the service was.

service's container ◄── network namespace, /etc/hosts ──┐
                    ◄── its volumes, to be read only ───┤ container of its image, as its user, with its environment
                                     chaoskit's modules ┘

The network goes when the service's container ends: whoever sits there is put into the next one, and knows what he knew.
"""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chaoskit
from chaoskit.clock import monotonic_ns
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.plan import Plan
from chaoskit.model.security import Bounds
from chaoskit.runtimes.docker.engine_socket import EngineRefused
from chaoskit.runtimes.docker.ground import Ground
from chaoskit.runtimes.docker.prepare import names_of
from chaoskit.runtimes.docker.services import Replica

CAPABILITIES = frozenset({"positions"})
_FOLDER = "chaoskit-intruder"
_START = f'exec python3 -m "$0" < /{_FOLDER}/orders.json'
_KEPT = ("user", "group_add", "cap_add", "cap_drop", "security_opt", "mem_limit", "pids_limit")
"""Of the service's options those that say who its processes are and what they may use; never `privileged`."""
CONFINED = (
    "; who is put in its place is a container of its own: the kernel gives it the service's network, user and volumes "
    "(to be read only, but for a store of backups) and nothing else of this machine; within the service's networks "
    "its own code keeps it to the run's services"
)
"""What the report says of a service in whose place somebody is put."""


@dataclass
class _Guest:
    """A program in a service's place. `at`: the service's container and the pid of its present incarnation."""

    service: str
    environment: Mapping[str, str]
    archive: bytes
    module: str
    at: tuple[str, int] = ("", 0)
    id: str = ""
    moving: asyncio.Lock = field(default_factory=asyncio.Lock)


class DockerPositions:
    """Of several replicas the first one's place is taken. The image must have `sh` and `python3`, with psycopg."""

    def __init__(
        self,
        plan: Plan,
        ground: Ground,
        replicas: Mapping[str, Sequence[Replica]],
        stores: frozenset[str],
    ) -> None:
        """`stores`: the engine's names of the volumes that hold backups."""
        self._plan = plan
        self._engine, self._logs = ground.engine, ground.logs
        self._replicas = replicas
        self._labels = dict(ground.owner.labels)
        self._stores = stores
        self._guests: dict[str, _Guest] = {}
        self._moves: set[asyncio.Task[None]] = set()

    async def enter(self, service: str, name: str, module: str, orders: bytes) -> None:
        """As the protocol says."""
        if name in self._guests:
            raise EnvironmentBroken(f"{name} is in the place of {self._guests[name].service} already")
        archive = await asyncio.to_thread(_packed, orders)
        guest = self._guests[name] = _Guest(service, self.environment(service), archive, module)
        await self._move(name, guest)

    async def leave(self, name: str) -> None:
        """As the protocol says."""
        guest = self._guests.pop(name, None)
        if guest is not None:
            async with guest.moving:
                await self._remove(guest.id)
                await self._logs.last_words(guest.id)

    def environment(self, service: str) -> dict[str, str]:
        """As the protocol says; what its image says besides is not in it."""
        return dict(self._replicas[service][0].recipe.options.get("environment") or {})

    def bounds(self, service: str) -> Bounds:
        """As the protocol says: every name of the run's services, and stores that the service mounts."""
        system = self._plan.system
        hosts = tuple(dict.fromkeys(name for one in system.services for name in names_of(system, one)))
        return Bounds(hosts, tuple(str(one["Target"]) for one in self._mounted(service)))

    def arrived(self, service: str) -> None:
        """A container of the service has been started: whoever sits in its place is moved, beside what else is done."""
        for name, guest in self._guests.items():
            if guest.service == service:
                task = asyncio.create_task(self._follow(name, guest), name=f"move {name}")
                self._moves.add(task)
                task.add_done_callback(self._moves.discard)

    def close(self) -> None:
        """Move nobody any more; the containers go with the run's."""
        for task in tuple(self._moves):
            task.cancel()

    # -- inside ---------------------------------------------------------------------------------------

    def _mounted(self, service: str) -> list[Mapping[str, Any]]:
        mounts = self._replicas[service][0].recipe.options.get("mounts") or ()
        return [one for one in mounts if one.get("Source") in self._stores]

    async def _follow(self, name: str, guest: _Guest) -> None:
        try:
            await self._move(name, guest)
        except EnvironmentBroken as error:
            # The service may be gone again; when it comes back he is moved. Until then his log says why he is silent.
            line = {"t": monotonic_ns(), "event": "not-moved", "why": str(error)}
            await asyncio.to_thread(self._say, name, json.dumps(line) + "\n")

    def _say(self, name: str, line: str) -> None:
        with self._logs.path(name).open("a", encoding="utf-8") as file:
            file.write(line)

    async def _move(self, name: str, guest: _Guest) -> None:
        async with guest.moving:
            replica = self._replicas[guest.service][0]
            at = (replica.id, replica.pid)
            if not replica.running or guest.at == at or self._guests.get(name) is not guest:
                if not replica.running and not guest.id:
                    raise EnvironmentBroken(f"{guest.service} is down: nobody can be put in its place")
                return
            before = guest.id
            guest.id = await self._engine.do(
                f"put {name} in the place of {guest.service}", lambda: self._start(replica, guest)
            )
            guest.at = at
            self._logs.follow(name, guest.id, None)
            await self._remove(before)

    def _start(self, replica: Replica, guest: _Guest) -> str:
        api: Any = self._engine.client.api
        options = replica.recipe.options
        given = {key: options[key] for key in _KEPT if options.get(key) is not None}
        user = given.pop("user", None)
        config = api.create_host_config(
            network_mode=f"container:{replica.id}",
            volumes_from=[f"{replica.id}:ro"],
            mounts=self._mounted(guest.service),
            **given,
        )
        made: str = api.create_container(
            replica.recipe.image,
            command=[guest.module],
            entrypoint=["sh", "-c", _START],
            user=user,
            environment={**guest.environment, "PYTHONPATH": f"/{_FOLDER}"},
            labels=self._labels,
            host_config=config,
        )["Id"]
        try:
            api.put_archive(made, "/", guest.archive)
            api.start(made)
        except BaseException:
            api.remove_container(made, force=True)
            raise
        return made

    async def _remove(self, container: str) -> None:
        if not container:
            return
        api = self._engine.client.api
        try:
            await self._engine.do("remove an intruder", lambda: api.remove_container(container, force=True))
        except EngineRefused as refused:
            if refused.status not in (404, 409):  # gone, or going
                raise


def _packed(orders: bytes) -> bytes:
    """The intruder's own modules and his orders, as a tar archive for the root of a container."""
    package = Path(chaoskit.__file__).parent
    files = {
        path.relative_to(package.parent).as_posix(): path.read_bytes()
        for pattern in ("__init__.py", "intruder/*.py", "engines/__init__.py", "engines/grip.py")
        for path in sorted(package.glob(pattern))
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in {**files, "orders.json": orders}.items():
            member = tarfile.TarInfo(f"{_FOLDER}/{name}")
            member.size, member.mode = len(content), 0o444
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()
