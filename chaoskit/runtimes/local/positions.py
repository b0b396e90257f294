"""Programs in a service's place, for attacks: its environment, its links, and nothing else of the machine's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from chaoskit.model.security import Bounds
from chaoskit.runtimes.local.lifecycle import LocalLifecycle
from chaoskit.runtimes.supervision import Supervision, package_folder

JOB = "intruder"


class LocalPositions:
    """Capability `positions`. The supervisor is the parent of each, so that none outlives the run."""

    def __init__(self, supervision: Supervision, lifecycle: LocalLifecycle, store: Path) -> None:
        self._supervision = supervision
        self._lifecycle = lifecycle
        self._store = store
        self._inside: set[str] = set()

    async def enter(self, service: str, name: str, module: str, orders: bytes) -> None:
        """As the protocol says."""
        environment = self.environment(service)
        path = os.pathsep.join(filter(None, (package_folder(), environment.get("PYTHONPATH"))))
        record = self._supervision.record
        self._inside.add(name)
        await self._supervision.run(
            f"{JOB}:{name}",
            JOB,
            (sys.executable, "-m", module),
            env={**environment, "PYTHONPATH": path},
            cwd=Path(record.scratch),
            log=Path(record.folder) / "logs" / f"{name}.log",
            stdin=orders,
        )

    async def leave(self, name: str) -> None:
        """As the protocol says."""
        if name in self._inside:
            await self._supervision.call("kill", name=f"{JOB}:{name}")

    def environment(self, service: str) -> dict[str, str]:
        """As the protocol says."""
        return dict(self._lifecycle.told[service])

    def bounds(self, service: str) -> Bounds:
        """As the protocol says; the same for every service."""
        return Bounds((f"{self._supervision.record.block}.*",), (str(self._store),))
