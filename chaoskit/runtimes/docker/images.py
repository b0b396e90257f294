"""The images of a system's services: looked at, pulled only if missing, built where the Compose file says how."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.compose import Build
from chaoskit.model.system import Service, System
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.engine_socket import EngineRefused

_PULL_S = 600.0
_BUILD_S = 1800.0
_TAIL_LINES = 15
Inspected = Mapping[str, Any]


def name_of(system: System, service: Service) -> str:
    """The image's name: the Compose file's, else the one that `docker compose` gives what it builds."""
    folder = Path(system.folder).name.lower()
    # As Compose names a project after its folder: an image's name has no room for spaces and the like.
    project = system.compose_project.name or re.sub(r"[^a-z0-9_-]", "", folder).lstrip("_-") or "system"
    return service.image or f"{project.lower()}-{service.name}"


async def ensure(engine: Engine, system: System, scratch: Path) -> dict[str, Inspected]:
    """What the engine says of every service's image, by service.

    Raises EnvironmentBroken, naming the service, for one that cannot be had.
    """
    by_image: dict[str, Service] = {}
    for service in system.services.values():
        name = name_of(system, service)
        if name not in by_image or service.compose.build is not None:
            by_image[name] = service
    found = await asyncio.gather(*(_have(engine, name, one, scratch) for name, one in by_image.items()))
    inspected = dict(zip(by_image, found, strict=True))
    return {name: inspected[name_of(system, service)] for name, service in system.services.items()}


async def inspect(engine: Engine, image: str) -> Inspected | None:
    """What the engine says of an image; None if it does not have it."""
    ask = cast(Any, engine.client.api.inspect_image)
    try:
        return cast(Inspected, await engine.do(f"inspect the image {image}", lambda: ask(image)))
    except EngineRefused as error:
        if error.status == 404:
            return None
        raise


async def _have(engine: Engine, image: str, service: Service, scratch: Path) -> Inspected:
    policy = service.compose.pull_policy or "missing"
    found = await inspect(engine, image)
    if found is None or policy in ("always", "build"):
        if service.compose.build is not None and policy != "always":
            await _build(engine, image, service, service.compose.build, scratch)
        else:
            await _pull(engine, image, service, policy)
        found = await inspect(engine, image)
    if found is None:
        raise EnvironmentBroken(
            f"{service.name}: the engine does not have the image {image} that it just made"
        )
    return found


async def _pull(engine: Engine, image: str, service: Service, policy: str) -> None:
    remedy = "Build it, or carry it over with `docker save` and `docker load`"
    if policy == "never":
        raise EnvironmentBroken(
            f"{service.name}: the image {image} is not on this engine, and `pull_policy: never` keeps it from being "
            f"pulled. {remedy}"
        )
    repository, tag = _split(image)
    platform = service.compose.platform
    try:
        await engine.do(
            f"pull the image {image}",
            lambda: engine.client.api.pull(repository, tag=tag, platform=platform),
            _PULL_S,
        )
    except EnvironmentBroken as error:
        raise EnvironmentBroken(
            f"{service.name}: the image {image} is not on this engine, and cannot be pulled: {error}. {remedy}"
        ) from error


def _split(image: str) -> tuple[str, str | None]:
    """(repository, tag or digest) as the engine wants them."""
    if "@" in image:
        return image, None
    last = image.rpartition("/")[2]
    return (image, "latest") if ":" not in last else (image.rpartition(":")[0], image.rpartition(":")[2])


async def _build(engine: Engine, image: str, service: Service, build: Build, scratch: Path) -> None:
    """By the engine's own builder; what the steps printed is in the error of one that fails."""
    if build.context.startswith("/") and not await asyncio.to_thread(Path(build.context).is_dir):
        raise EnvironmentBroken(
            f"{service.name}: its image {image} cannot be built: there is no folder {build.context}; correct "
            f"`build` in the Compose file, or load the image"
        )
    dockerfile = build.dockerfile
    if build.dockerfile_inline is not None:
        path = scratch / f"Dockerfile.{service.name}"
        await asyncio.to_thread(path.write_text, build.dockerfile_inline, encoding="utf-8")
        dockerfile = str(path)

    def run() -> None:
        client = engine.connect(_BUILD_S)
        try:
            _follow(
                client.api.build(
                    path=build.context,
                    tag=image,
                    dockerfile=dockerfile,
                    buildargs=dict(build.args) or None,
                    target=build.target,
                    labels=dict(build.labels) or None,
                    cache_from=list(build.cache_from) or None,
                    nocache=build.no_cache,
                    pull=build.pull,
                    network_mode=build.network,
                    shmsize=build.shm_size,
                    extra_hosts=dict(build.extra_hosts) or None,
                    platform=service.compose.platform or next(iter(build.platforms), None),
                    rm=True,
                    forcerm=True,
                    decode=True,
                )
            )
            for tag in build.tags:
                client.api.tag(image, *_split(tag))
        finally:
            client.close()

    try:
        await engine.do(f"build the image {image}", run, _BUILD_S)
    except (EngineRefused, OSError, TypeError, _BuildFailed) as error:
        raise EnvironmentBroken(
            f"{service.name}: its image {image} cannot be built from {build.context}: {error}"
        ) from error


class _BuildFailed(Exception):
    """A step failed; says which, and the end of what was printed."""


def _follow(messages: Iterable[Any]) -> None:
    said: list[str] = []
    for message in messages:
        said += str(message.get("stream") or "").splitlines()
        if "error" in message:
            last = "\n".join(f"    {line}" for line in said[-_TAIL_LINES:] if line.strip())
            raise _BuildFailed(f"{message['error']}; the last lines:\n{last}")
