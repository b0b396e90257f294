"""chaoskit's own processes of a run (load, prober, a proxy), as jobs of its supervisor."""

from __future__ import annotations

import signal
from pathlib import Path

from chaoskit.runtimes.record import Identity
from chaoskit.runtimes.residue import RUN_MARK
from chaoskit.runtimes.supervision import Supervision, own_environment


class SpawnedMeasurer:
    """A spawned measurer (`model.estate.Helper`)."""

    def __init__(self, supervision: Supervision, job: str, pid: int) -> None:
        self.pid = pid
        self._supervision = supervision
        self._job = job
        self._status: int | None = None

    def ended(self, status: int) -> None:
        """The supervisor says that it has ended; negative: the signal that ended it."""
        self._status = status

    async def terminate(self, within_s: float) -> int | None:
        """SIGTERM, wait, return the exit status; None if it had to be killed."""
        facts = await self._supervision.call(
            "stop", within_s + 10, name=self._job, number=int(signal.SIGTERM), grace_s=within_s
        )
        status: int = facts["status"]
        return None if status == -signal.SIGKILL else status

    async def exited(self) -> int | None:
        """Its exit status if it has ended, else None."""
        return self._status


class MeasurerJobs:
    """Starts them at normal priority, and hears of their ends."""

    def __init__(self, supervision: Supervision) -> None:
        self._supervision = supervision
        self._spawned: dict[str, SpawnedMeasurer] = {}

    async def spawn(self, name: str, argv: tuple[str, ...], log: Path, stdin: bytes) -> SpawnedMeasurer:
        """A measurer's process, its output in `log`, ended with the run whatever happens."""
        job = f"measurer:{name}"
        process = await self.start(job, "measurer", argv, log, stdin)
        self._spawned[job] = SpawnedMeasurer(self._supervision, job, process.pid)
        return self._spawned[job]

    async def start(
        self, job: str, role: str, argv: tuple[str, ...], log: Path, stdin: bytes = b""
    ) -> Identity:
        """Any process of chaoskit's own, marked as the run's."""
        env = {**own_environment(), RUN_MARK: self._supervision.record.scratch}
        return await self._supervision.run(job, role, argv, env=env, cwd=Path.cwd(), log=log, stdin=stdin)

    def ended(self, job: str, status: int) -> None:
        """The supervisor says that a job has ended."""
        if job in self._spawned:
            self._spawned[job].ended(status)
