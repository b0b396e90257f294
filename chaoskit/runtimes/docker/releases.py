"""Capability `releases`: a service's containers are made anew, with a release's files over those of their image.

image ──► container ◄── the release's files, put in before it is started
                    ◄── the release's settings
"""

from __future__ import annotations

import asyncio
import io
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.plan import Plan
from chaoskit.model.release import Release
from chaoskit.runtimes.docker.lifecycle import DockerLifecycle
from chaoskit.runtimes.docker.services import Files, Recipe
from chaoskit.runtimes.releases import KeptReleases

_LEFT_OUT = "__pycache__"


class DockerReleases(KeptReleases):
    """A service goes back to the recipe that it was first made by."""

    def __init__(self, plan: Plan, lifecycle: DockerLifecycle, direct: Callable[[str], Address]) -> None:
        super().__init__(plan, direct)
        self._lifecycle = lifecycle
        self._running: dict[str, str | None] = {}

    def running(self, service: str) -> str | None:
        """The release that its containers were made with last; None: as the Compose file has them."""
        return self._running.get(service)

    async def _replace(self, service: str, release: str | None) -> None:
        change: Callable[[Recipe], Recipe] = _unchanged
        if release is not None:
            change = await asyncio.to_thread(self._change, service, release)
        await self._lifecycle.stop(service)
        await self._lifecycle.renew(service, change)
        self._running[service] = release
        await self._lifecycle.start(service)

    def _change(self, service: str, release: str) -> Callable[[Recipe], Recipe]:
        found: Release = self._plan.system.releases[release]
        files = None
        if found.files is not None:
            try:
                archive = pack(Path(self._plan.system.folder) / found.files)
            except OSError as error:
                raise EnvironmentBroken(f"the files of {release} cannot be read: {error}") from error
            files = Files(found.image_path, archive)
        settings = found.environment.get(service, {})

        def change(recipe: Recipe) -> Recipe:
            before = recipe.options.get("environment") or {}
            return replace(
                recipe, options={**recipe.options, "environment": {**before, **settings} or None}, files=files
            )

        return change


def pack(folder: Path) -> bytes:
    """A folder's files as a tar archive: root's, as those of an image are, and of this second.

    Python takes a compiled file of the image for that of a source with the same size and time.
    """
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and _LEFT_OUT not in path.parts:
                member = archive.gettarinfo(path, str(path.relative_to(folder)))
                member.uid = member.gid = 0
                member.uname = member.gname = "root"
                member.mode |= 0o444
                member.mtime = int(time.time())
                with open(path, "rb") as file:
                    archive.addfile(member, file)
    return made.getvalue()


def _unchanged(recipe: Recipe) -> Recipe:
    return recipe
