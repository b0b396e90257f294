"""A service's containers: made and started through Testcontainers, and what the engine last said of each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from docker.models.containers import Container
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.engine import Engine

SERVICE = "chaoskit.service"
"""The label that says which service of the system a container is."""

# chaoskit has a janitor of its own; this one's image is not to be had everywhere.
testcontainers_config.ryuk_disabled = True
# The engine is DOCKER_HOST's or this machine's, whatever ~/.testcontainers.properties says.
testcontainers_config.tc_properties.pop("tc.host", None)


@dataclass(frozen=True)
class Attachment:
    """A network that a container is on: what the engine calls it, and the container's settings there."""

    network: str
    aliases: tuple[str, ...] = ()
    link_local: tuple[str, ...] = ()
    ipv4: str | None = None
    ipv6: str | None = None
    driver_options: Mapping[str, str] = field(default_factory=dict)
    mac: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The SDK's arguments for a container's end of a network."""
        return {
            "aliases": list(self.aliases) or None,
            "ipv4_address": self.ipv4,
            "ipv6_address": self.ipv6,
            "link_local_ips": list(self.link_local) or None,
            "driver_opt": dict(self.driver_options) or None,
            "mac_address": self.mac,
        }


@dataclass(frozen=True)
class Files:
    """A tar archive that is laid over a container's files before it starts.

    `folder` is where; None: in the container's working directory.
    """

    folder: str | None
    archive: bytes


@dataclass(frozen=True)
class Recipe:
    """One container: `options` are the SDK's arguments for creating it, but for name, labels and networks.

    Without networks, `options` has its `network_mode`. `image` is a name or an id.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    networks: tuple[Attachment, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    files: Files | None = None


class _Started(DockerContainer):
    """Testcontainers' container, on all of its networks before its process runs."""

    def __init__(self, engine: Engine, recipe: Recipe) -> None:
        super().__init__(recipe.image, docker_client_kw=engine.testcontainers_kwargs)
        self._engine = engine
        self._recipe = recipe

    def start(self) -> Self:
        recipe, docker = self._recipe, self.get_docker_client()
        api = docker.client.api
        networking: dict[str, Any] = {}
        if recipe.networks:
            first = recipe.networks[0]
            networking["network"] = first.network
            networking["networking_config"] = {first.network: api.create_endpoint_config(**first.settings)}
        container = docker.create(
            recipe.image,
            name=recipe.name,
            labels=dict(recipe.labels),
            **{**recipe.options, **networking},
        )
        self._container = container
        for other in recipe.networks[1:]:
            api.connect_container_to_network(str(container.id), other.network, **other.settings)
        if recipe.files is not None:
            folder = recipe.files.folder or container.attrs["Config"]["WorkingDir"] or "/"
            api.put_archive(str(container.id), folder, recipe.files.archive)
        docker.start(container)
        return self


@dataclass
class Replica:
    """One container of a service. `pid` is 0 while it does not run; `addresses` by the engine's network name.

    `listening` and `ended` are of its present incarnation.
    """

    service: str
    recipe: Recipe
    id: str = ""
    pid: int = 0
    addresses: dict[str, str] = field(default_factory=dict)
    asked: bool = False
    """Its end has been asked for: no crash."""
    removed: set[str] = field(default_factory=set)
    """Ids of containers that it was before: what the engine tells of them late is not about the present one."""
    out_of_memory: bool = False
    exit_code: int | None = None
    listening: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def running(self) -> bool:
        return self.pid > 0

    def take(self, attributes: Mapping[str, Any]) -> None:
        """What the engine's inspection says of it."""
        state = attributes["State"]
        self.pid = int(state["Pid"]) if state["Running"] and not state.get("Restarting") else 0
        networks = attributes["NetworkSettings"]["Networks"]
        self.addresses = {name: one["IPAddress"] for name, one in networks.items() if one.get("IPAddress")}


async def create_and_start(engine: Engine, replica: Replica) -> None:
    """Make the container and start it. Raises EngineRefused with the engine's words, naming the service."""

    def run() -> Container:
        started = _Started(engine, replica.recipe)
        try:
            started.start()
        finally:
            started.get_docker_client().client.close()
        return started.get_wrapped_container()

    container = await engine.do(f"start {replica.service}", run)
    if container.id is None:
        raise EnvironmentBroken(f"the engine gave the container of {replica.service} no id")
    replica.id = container.id
    await look(engine, replica)


async def start_again(engine: Engine, replica: Replica) -> None:
    """Start an ended container anew: its file system is used again."""
    await engine.do(f"start {replica.service}", lambda: engine.client.api.start(replica.id))
    await look(engine, replica)


async def stop(engine: Engine, replica: Replica, grace_s: float) -> None:
    """The container's stop signal, `grace_s`, SIGKILL; its restart policy does not act."""
    within_s = grace_s + engine.call_s

    def run() -> None:
        client = engine.connect(within_s)
        try:
            client.api.stop(replica.id, timeout=round(grace_s))
        finally:
            client.close()

    await engine.do(f"stop {replica.service}", run, within_s + 5)


async def remove(engine: Engine, replica: Replica) -> None:
    """Remove an ended container; the next start makes a new one by the replica's recipe."""
    await engine.do(f"remove {replica.service}", lambda: engine.client.api.remove_container(replica.id))
    replica.removed.add(replica.id)
    replica.id = ""
    replica.addresses = {}


async def look(engine: Engine, replica: Replica) -> Mapping[str, Any]:
    """Ask the engine how it stands; its addresses may have changed with a restart."""
    attributes: Mapping[str, Any] = await engine.do(
        f"inspect {replica.service}", lambda: engine.client.api.inspect_container(replica.id)
    )
    replica.take(attributes)
    return attributes
