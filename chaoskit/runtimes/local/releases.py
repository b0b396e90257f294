"""Capability `releases`: a service is started again from a tree of files, with settings, of another release."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from chaoskit.engines.schema import run_script
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.plan import Plan
from chaoskit.model.release import Release
from chaoskit.runtimes.local.launch import Installed, folder_of
from chaoskit.runtimes.local.lifecycle import LocalLifecycle
from chaoskit.runtimes.local.release_tree import lay

_MIGRATE_S = 30.0


class LocalReleases:
    """Which release each service runs is known to this process alone: when it ends, the estate does."""

    def __init__(
        self, plan: Plan, scratch: Path, lifecycle: LocalLifecycle, direct: Callable[[str], Address]
    ) -> None:
        self._plan = plan
        self._trees = scratch / "releases"
        self._lifecycle = lifecycle
        self._direct = direct
        self._migrated: set[str] = set()
        self._migrating = asyncio.Lock()
        self._changing = {name: asyncio.Lock() for name in plan.system.services}

    def running(self, service: str) -> str | None:
        """The release that it was started with last; None: as the system's files have it."""
        installed = self._lifecycle.installed.get(service)
        return installed.release if installed is not None else None

    def migrated(self, release: str) -> bool:
        """Whether its migration has been run, and not been taken back."""
        return release in self._migrated

    async def change(self, service: str, release: str | None) -> None:
        """Stop it and start it with that release. Raises EnvironmentBroken when it does not come up."""
        async with self._changing[service]:
            if self.running(service) == release:
                return
            installed = None
            if release is not None:
                installed = await asyncio.to_thread(self._install, service, release)
            await self._lifecycle.stop(service)
            self._lifecycle.installed[service] = installed
            await self._lifecycle.start(service)

    async def migrate(self, release: str, way: Literal["up", "down"]) -> None:
        """Run its migration, or take it back, once. Raises EnvironmentBroken when the database refuses."""
        migration = self._plan.system.releases[release].migration
        async with self._migrating:
            if migration is None or (release in self._migrated) == (way == "up"):
                return
            name = migration.up if way == "up" else migration.down
            if name is None:
                raise EnvironmentBroken(f"the migration of {release} has no `down`")
            role = self._plan.system.roles[migration.on]
            path = Path(self._plan.system.folder) / name
            try:
                script = await asyncio.to_thread(path.read_text, encoding="utf-8")
                await run_script(self._direct(role.primary), role, script, _MIGRATE_S)
            except (EngineError, OSError, UnicodeDecodeError) as error:
                raise EnvironmentBroken(f"{path} failed: {error}") from error
            (self._migrated.add if way == "up" else self._migrated.discard)(release)

    def _install(self, service: str, release: str) -> Installed:
        found: Release = self._plan.system.releases[release]
        path = self._plan.system.local[service].path
        tree = None
        if found.files is not None and path is not None:
            tree = self._trees / release / service
            try:
                lay(folder_of(self._plan, path), folder_of(self._plan, found.files), tree)
            except OSError as error:
                raise EnvironmentBroken(f"the files of {release} cannot be laid out: {error}") from error
        return Installed(release, tree, found.environment.get(service, {}))
