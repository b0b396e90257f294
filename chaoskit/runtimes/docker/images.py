"""The images of a system's services: looked at, pulled only if missing, built where the Compose file says how."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.system import System
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.engine_socket import EngineRefused

_PULL_S = 300.0
Inspected = Mapping[str, Any]


async def inspect(engine: Engine, image: str) -> Inspected | None:
    """What the engine says of an image; None if it does not have it."""
    try:
        found: Inspected = await engine.do(
            f"inspect the image {image}", lambda: engine.client.api.inspect_image(image)
        )
    except EngineRefused as error:
        if error.status == 404:
            return None
        raise
    return found


async def ensure(engine: Engine, system: System) -> dict[str, Inspected]:
    """Every service's image, by service. Raises EnvironmentBroken, naming the service, for one that cannot be had."""
    wanted = {service.image for service in system.services.values() if service.image}
    found = dict(zip(wanted, await asyncio.gather(*(_have(engine, image) for image in wanted)), strict=True))
    return {name: found[service.image] for name, service in system.services.items() if service.image}


async def _have(engine: Engine, image: str) -> Inspected:
    found = await inspect(engine, image)
    if found is not None:
        return found
    repository, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "latest")
    try:
        await engine.do(
            f"pull the image {image}", lambda: engine.client.api.pull(repository, tag=tag), _PULL_S
        )
    except EnvironmentBroken as error:
        raise EnvironmentBroken(
            f"the image {image} is not on this engine and cannot be pulled: {error}. Build it, or carry it over with "
            "`docker save` and `docker load`"
        ) from error
    found = await inspect(engine, image)
    if found is None:
        raise EnvironmentBroken(f"the image {image} was pulled, and the engine does not have it")
    return found
