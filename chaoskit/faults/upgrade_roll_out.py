"""upgrade.roll-out: another release of the system's services is put in place under load."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from chaoskit.clock import monotonic_ns
from chaoskit.engines import roll_out, tree
from chaoskit.engines.schema import catalogue
from chaoskit.engines.session import EngineError
from chaoskit.errors import ServiceDown
from chaoskit.model.estate import Estate
from chaoskit.model.lease import MirrorUndo, ProcessRef, ReleaseUndo, SchemaUndo, Undo
from chaoskit.model.member import Witness
from chaoskit.model.release import Release
from chaoskit.model.releases import releases
from chaoskit.model.system import System
from chaoskit.registry import register

_LOOK_S = 0.02
_ASK_S = 2.0
_SAY_S = 0.1
_LAST_S = 1.0
"""For what had just been changed when the roll-out ended to say so."""
_WITHIN_S = 26.0


@dataclass(frozen=True)
class _Before:
    """What was there before: each service's processes and what it said of itself, and the schema's digest."""

    trees: Mapping[str, tuple[ProcessRef, ...]]
    said: Mapping[str, str | None]
    schema: str | None


@register("faults", "upgrade.roll-out")
@dataclass(frozen=True)
class UpgradeRollOut:
    """A release that system.yaml declares under `releases:` is rolled out: its schema, then its services.

    Each service is stopped in an orderly way and started again with the release's files and settings, `strategy: all`
    at once, or `one-first`: the schema, a pause, the first service, a pause, the next one. A roll-out that is rolled
    back meanwhile changes nothing more. Nothing is broken by chaoskit: whatever fails is the release's own doing.
    Before the first change the position in the log of every database with a backup is noted, with the backup's proof:
    `restore-backup` with `before:` goes back to it when the old version cannot read what the new one wrote.

    Witness: the running service itself says that it is the release, and the kernel no longer has the processes that
    said otherwise; for a migration the database's own catalogue has changed. The instant is that of the first change.
    A release that does not come up is told, and leaves the fault unwitnessed if nothing else had changed. Of a roll-out
    that takes longer than 26 s, what it has changed by then counts.
    Undo: the roll-out is halted, the migration taken back and every service started with the release it ran before.
    Each change interrupts a service for as long as it takes to start; a replica is a service of its own.
    Fidelity on `local`: the same command line in a tree of files in which the release's replace the others'.
    Fidelity on `docker`: a new container of the same image and name, with the release's files laid over the image's
    before it starts, and its settings; what the old one had written outside its volumes is gone, as with a new image.
    A release that needs other packages, or removes files, cannot be had this way.

        timeline:
          - at: 0s
            fault: upgrade.roll-out
            on: api-break
          - when: {stop-rule: transfers-fail}
            respond: roll-back
    """

    strategy: roll_out.AskedStrategy = None
    pause: roll_out.AskedPause = None
    requires: ClassVar[frozenset[str]] = frozenset({"processes", "lifecycle", "links", "releases"})
    targets: ClassVar[Literal["service", "link", "release"]] = "release"
    renewed: ClassVar[bool] = True
    watched: ClassVar[bool] = True
    ended_by: ClassVar[tuple[str, ...]] = ("roll-back", roll_out.FORWARD)

    def occupies(self, target: str, system: System) -> frozenset[str]:
        """The services that it changes: another roll-out to one of them would overtake it."""
        return frozenset(system.releases[target].services)

    async def baseline(self, target: str, estate: Estate) -> _Before:
        release = estate.plan.system.releases[target]
        trees = {service: await estate.processes.tree(service) for service in release.services}
        said = {name: await roll_out.said_version(name, release, estate) for name in release.services}
        return _Before(trees, said, await _schema(release, estate))

    async def undo(self, target: str, estate: Estate) -> Undo:
        release = estate.plan.system.releases[target]
        there = releases(estate)
        back = [ReleaseUndo(service=one, release=there.running(one)) for one in release.services]
        mirrors = [MirrorUndo(service=one) for one in release.services]
        schema = [SchemaUndo(release=target)] if _can_go_back(release) and not there.migrated(target) else []
        return Undo(steps=(*schema, *back, *mirrors))

    async def apply(self, target: str, estate: Estate) -> None:
        release = estate.plan.system.releases[target]
        roll_out.begin(
            roll_out.RollOut(
                name=target,
                release=release,
                estate=estate,
                strategy=self.strategy or release.strategy,
                pause=self.pause or release.pause,
                before={service: releases(estate).running(service) for service in release.services},
            )
        )

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        before: _Before = baseline
        release = estate.plan.system.releases[target]
        found = [one for one in roll_out.begun(estate) if one.name == target]
        rolling = found[-1] if found else None
        looks = [asyncio.create_task(_is(name, release, estate, before)) for name in release.services]
        schema = asyncio.create_task(_schema_changed(before.schema, release, estate))
        over = True
        try:
            try:
                async with asyncio.timeout(_WITHIN_S):
                    if rolling is not None:
                        await rolling.ended()
            except TimeoutError:
                over = False  # what it has changed by now is changed
            changed = set(rolling.changed) if rolling is not None else set[str]()
            if last := [look for name, look in zip(release.services, looks, strict=True) if name in changed]:
                await asyncio.wait(last, timeout=_LAST_S)
            seen, told = await _said(release, estate, before, looks)
            if schema.done() and (at := schema.result()) is not None:
                seen, told = [at, *seen], ["the database's catalogue has changed", *told]
        finally:
            for task in (*looks, schema):
                task.cancel()
            await asyncio.gather(*looks, schema, return_exceptions=True)
        if not over:
            told.append(f"the roll-out was not over within {_WITHIN_S:g} s")
        if rolling is not None:
            told += _noted(rolling)
        if rolling is not None and rolling.failed:
            told.append(f"the roll-out stopped: {rolling.failed.splitlines()[0]}")
        return Witness(bool(seen), min(seen, default=None), "; ".join(told))


def _noted(rolling: roll_out.RollOut) -> list[str]:
    """Where the way back by a restore leads."""
    told = [f"{name} was noted at {point.lsn} before it" for name, point in rolling.noted.items()]
    return [*told, f"no way back by a restore: {rolling.unnoted}"] if rolling.unnoted else told


async def _said(
    release: Release, estate: Estate, before: _Before, looks: list[asyncio.Task[int]]
) -> tuple[list[int], list[str]]:
    """(when the old processes of each service were gone that has said it is the release, what was found)."""
    seen, told = [], []
    unseen = [name for name, look in zip(release.services, looks, strict=True) if not look.done()]
    asked = await asyncio.gather(*(roll_out.said_version(name, release, estate) for name in unseen))
    now = dict(zip(unseen, asked, strict=True))
    for service, look in zip(release.services, looks, strict=True):
        if service not in now:
            seen.append(look.result())
            told.append(f"{service} says it is {release.version}, and said {before.said[service]} before")
        else:
            told.append(f"{service} says it is {now[service] or 'nothing'}")
    return seen, told


async def _is(service: str, release: Release, estate: Estate, before: _Before) -> int:
    """When the old processes were gone of a service that says since that it is the release.

    Asked as soon as it is there: who waits for the end of the roll-out may find that it was rolled back meanwhile.
    """
    at_ns = await _gone(before.trees[service], estate)
    if before.said[service] == release.version:
        await asyncio.Event().wait()  # what it says tells nothing
    while await roll_out.said_version(service, release, estate) != release.version:  # noqa: ASYNC110 - to whoever asks
        await asyncio.sleep(_SAY_S)
    return at_ns


async def _gone(processes: tuple[ProcessRef, ...], estate: Estate) -> int:
    """When the kernel had none of them any more."""
    if not processes:
        await asyncio.Event().wait()  # there was none, so none can go
    while (fate := tree.look(estate.processes, processes)).gone < len(processes):  # noqa: ASYNC110 - nobody's children
        await asyncio.sleep(_LOOK_S)
    return fate.at_ns


def _can_go_back(release: Release) -> bool:
    return release.migration is not None and release.migration.down is not None


async def _schema(release: Release, estate: Estate) -> str | None:
    """A digest of the catalogue that the release's migration changes; None if it has none, or nobody answers."""
    if release.migration is None:
        return None
    role = estate.plan.system.roles[release.migration.on]
    try:
        return await catalogue(estate.direct(role.primary), role, _ASK_S)
    except (EngineError, ServiceDown):
        return None


async def _schema_changed(before: str | None, release: Release, estate: Estate) -> int | None:
    """When the catalogue was another than before; looked at until it is."""
    if before is None:
        return None
    while (now := await _schema(release, estate)) is None or now == before:  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(_LOOK_S)
    return monotonic_ns()
