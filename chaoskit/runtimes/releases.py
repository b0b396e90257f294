"""Capability `releases`, as far as it is the same on every runtime: who runs what, migrations, roll-outs under way."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from chaoskit.engines.schema import run_script
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.lease import ReleaseUndo, SchemaUndo
from chaoskit.model.plan import Plan
from chaoskit.model.release import Migration
from chaoskit.model.releases import UnderWay, Way

_MIGRATE_S = 30.0


class KeptReleases(ABC):
    """Which release each service runs is known to this process alone: when it ends, the estate does."""

    def __init__(self, plan: Plan, direct: Callable[[str], Address]) -> None:
        self._plan = plan
        self._direct = direct
        self._migrated: set[str] = set()
        self._finished: set[str] = set()
        self._migrating = asyncio.Lock()
        self._changing = {name: asyncio.Lock() for name in plan.system.services}
        self.begun: list[UnderWay] = []

    @abstractmethod
    def running(self, service: str) -> str | None:
        """The release that it was started with last; None: as the system's files have it."""

    @abstractmethod
    async def _replace(self, service: str, release: str | None) -> None:
        """Stop it and start it with that release. Raises EnvironmentBroken when it does not come up."""

    def migrated(self, release: str) -> bool:
        """Whether its migration has been run, and not been taken back."""
        return release in self._migrated

    async def change(self, service: str, release: str | None) -> None:
        """Stop it and start it with that release, unless it runs that already; a change that has begun comes first."""
        async with self._changing[service]:
            if self.running(service) != release:
                await self._replace(service, release)

    async def migrate(self, release: str, way: Way) -> None:
        """Run one script of its migration, once. Raises EnvironmentBroken when the database refuses."""
        migration = self._plan.system.releases[release].migration
        async with self._migrating:
            if migration is None or not self._due(release, way, migration):
                return
            name = getattr(migration, way)
            if name is None:
                raise EnvironmentBroken(f"the migration of {release} has no `{way}`")
            role = self._plan.system.roles[migration.on]
            path = Path(self._plan.system.folder) / name
            try:
                script = await asyncio.to_thread(path.read_text, encoding="utf-8")
                await run_script(self._direct(role.primary), role, script, _MIGRATE_S)
            except (EngineError, OSError, UnicodeDecodeError) as error:
                raise EnvironmentBroken(f"{path} failed: {error}") from error
            (self._migrated.discard if way == "down" else self._migrated.add)(release)
            (self._finished.add if way == "finish" else self._finished.discard)(release)

    def _due(self, release: str, way: Way, migration: Migration) -> bool:
        """Whether that script is the next to be run; what has no `finish` needs none."""
        if way == "finish":
            return migration.finish is not None and release not in self._finished
        return (release in self._migrated) != (way == "up")

    async def undo(self, step: ReleaseUndo | SchemaUndo) -> None:
        """Halt what is being rolled out, then take the step's part of it back; safe to repeat.

        A fix that was put over it goes first: its schema, and the services that it alone has changed.
        """
        for one in self.begun:
            await one.halt()
        for one in reversed(self.begun):
            await self._uncover(one)
        if isinstance(step, SchemaUndo):
            await self.migrate(step.release, "down")
        else:
            await self.change(step.service, step.release)

    async def _uncover(self, one: UnderWay) -> None:
        if one.over is None:
            return
        migration = self._plan.system.releases[one.name].migration
        if migration is not None and migration.down is not None:
            await self.migrate(one.name, "down")
        below = self._plan.system.releases[one.over].services
        for service in one.changed:
            if service not in below:
                await self.change(service, one.before[service])

    async def drop(self) -> None:
        """End every roll-out in the middle of what it does: the estate is about to be destroyed."""
        while self.begun:
            await self.begun.pop().drop()
