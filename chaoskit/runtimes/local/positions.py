"""Programs in a service's place, for attacks: its environment, its links, and nothing else of the machine's."""

from __future__ import annotations

import os
from pathlib import Path

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

    async def enter(self, service: str, name: str, argv: tuple[str, ...], stdin: bytes) -> None:
        """As the protocol says; its output goes to logs/<name>.log of the run folder."""
        environment = self.environment(service)
        path = os.pathsep.join(filter(None, (package_folder(), environment.get("PYTHONPATH"))))
        record = self._supervision.record
        self._inside.add(name)
        await self._supervision.run(
            f"{JOB}:{name}",
            JOB,
            argv,
            env={**environment, "PYTHONPATH": path},
            cwd=Path(record.scratch),
            log=Path(record.folder) / "logs" / f"{name}.log",
            stdin=stdin,
        )

    async def leave(self, name: str) -> None:
        """As the protocol says."""
        if name in self._inside:
            await self._supervision.call("kill", name=f"{JOB}:{name}")

    def environment(self, service: str) -> dict[str, str]:
        """As the protocol says."""
        return dict(self._lifecycle.told[service])

    def bounds(self) -> tuple[str, Path]:
        """As the protocol says."""
        return f"{self._supervision.record.block}.", self._store
