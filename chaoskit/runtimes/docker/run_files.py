"""Makes what `volumes_plan` has planned: the run's volumes, copies of what services may write, secrets and configs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from chaoskit.model.compose_project import Volume
from chaoskit.runtimes.docker.bind_copies import lay_down
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.volumes_plan import VolumesPlan


async def make(engine: Engine, plan: VolumesPlan, labels: Mapping[str, str]) -> None:
    """Everything of the plan, before the first container is made. Raises EnvironmentBroken with what cannot be."""
    volumes = (
        engine.do(f"make the volume {name}", partial(_volume, engine, name, volume, labels))
        for name, volume in plan.volumes.items()
    )
    # The engine would make a missing external volume, in silence.
    external = (
        engine.do(f"find the external volume {name}", partial(engine.client.api.inspect_volume, name))
        for name in plan.external
    )
    await asyncio.gather(asyncio.to_thread(lay_down, plan), *external, *volumes)


def _volume(engine: Engine, name: str, volume: Volume, labels: Mapping[str, str]) -> None:
    engine.client.api.create_volume(
        name=name,
        driver=volume.driver or "local",
        driver_opts=dict(volume.driver_opts) or None,
        labels={**volume.labels, **labels},
    )
