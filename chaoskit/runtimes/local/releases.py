"""Capability `releases`: a service is started again from a tree of files, with settings, of another release."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.plan import Plan
from chaoskit.model.release import Release
from chaoskit.runtimes.local.launch import Installed, folder_of
from chaoskit.runtimes.local.lifecycle import LocalLifecycle
from chaoskit.runtimes.local.release_tree import lay
from chaoskit.runtimes.releases import KeptReleases


class LocalReleases(KeptReleases):
    """A release's tree lies below the run's scratch folder."""

    def __init__(
        self, plan: Plan, scratch: Path, lifecycle: LocalLifecycle, direct: Callable[[str], Address]
    ) -> None:
        super().__init__(plan, direct)
        self._trees = scratch / "releases"
        self._lifecycle = lifecycle

    def running(self, service: str) -> str | None:
        """The release that it was started with last; None: as the system's files have it."""
        installed = self._lifecycle.installed.get(service)
        return installed.release if installed is not None else None

    async def _replace(self, service: str, release: str | None) -> None:
        installed = None
        if release is not None:
            installed = await asyncio.to_thread(self._install, service, release)
        await self._lifecycle.stop(service)
        self._lifecycle.installed[service] = installed
        await self._lifecycle.start(service)

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
