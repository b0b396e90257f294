"""roll-back: a release that is being rolled out is taken back: schema, code and settings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines import roll_out
from chaoskit.engines.roll_out import RollOut
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.plan import PlannedStep
from chaoskit.model.releases import releases
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_ROLLED_OUT_S = 60.0


@register("responses", "roll-back")
@dataclass(frozen=True)
class RollBack:
    """Every service that the latest roll-out has changed goes back to the release that it ran before.

    1. Halt. A roll-out that is still under way changes nothing more. With `soak:` it is let come to its end first, and
       what it has put in place runs for that long, however slow the machine: a rehearsal that had only half of a
       release has not tried it. If it has not come to its end, it is taken back all the same, and the response fails.
    2. Schema. Its migration is taken back, if there is one; `schema: false` leaves it as the release made it.
    3. Code and settings. The changed services (or those of them named by `on:`) are stopped in an orderly way and
       started as before, side by side.
    4. Proof. Each must itself say that it is what it was before.

    A migration without `down` cannot be taken back: the code goes back all the same, and the response fails. Data that
    the release has written stay; whether the old version can read them is what the drill shows.
    Fidelity on `local`: the files and settings of before, in a process of their own; the migration by real PostgreSQL.
    Fidelity on `docker`: the same migration, and a container made anew as the Compose file says.

        timeline:
          - when: {stop-rule: transfers-fail}
            respond: roll-back
            decision: {role: release-manager, takes: 2m}
    """

    schema: Annotated[bool, Field(description="whether the release's migration is taken back")] = True
    soak: Annotated[
        Duration | None,
        Field(
            description="let the roll-out come to its end first, and then run for this long; default: halt it"
        ),
    ] = None
    requires: ClassVar[frozenset[str]] = frozenset({"lifecycle", "links", "releases"})

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for services that no release is given to: nothing would be taken back."""
        known = list(dict.fromkeys(one for release in system.releases.values() for one in release.services))
        if strange := [one for one in on if one not in known]:
            given = ", ".join(known) or "none"
            raise ValueError(f"no release is given to {', '.join(strange)}; releases are given to: {given}")

    def check_order(self, earlier: Sequence[PlannedStep]) -> None:
        """Raises ValueError, while planning, where nothing was rolled out before."""
        if not any(step.name == roll_out.FAULT for step in earlier):
            raise ValueError(f"`roll-back` takes back a roll-out, and no `{roll_out.FAULT}` comes before it")

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        begun = monotonic_ns()
        found = roll_out.begun(context.estate)
        if not found:
            raise ResponseFailed("no release was rolled out in this run")
        rolling = found[-1]
        if strange := [one for one in on if one not in rolling.release.services]:
            raise ResponseFailed(
                f"{rolling.name} was not given to {', '.join(strange)}: nothing was taken back"
            )
        short = "" if self.soak is None else await _soaked(rolling, self.soak)
        context.change()
        await rolling.halt()
        _record(context, "halted", begun, release=rolling.name, changed=list(rolling.changed))
        troubles = [short, await self._take_schema_back(rolling, context, begun)]
        services = [one for one in rolling.changed if not on or one in on]
        troubles += await asyncio.gather(*(_back(one, rolling, context, begun) for one in services))
        if told := [trouble for trouble in troubles if trouble]:
            raise ResponseFailed("; ".join(told))

    async def _take_schema_back(self, rolling: RollOut, context: ResponseContext, begun: int) -> str:
        there = releases(context.estate)
        migration = rolling.release.migration
        if migration is None or not self.schema or not there.migrated(rolling.name):
            return ""
        if migration.down is None:
            return f"{rolling.name}: its migration has no `down`: the schema stays as the release made it"
        try:
            await there.migrate(rolling.name, "down")
        except EnvironmentBroken as error:
            return str(error)
        _record(context, "schema", begun, role=migration.on, script=migration.down)
        return ""


async def _soaked(rolling: RollOut, soak: Duration) -> str:
    """Let it come to its end and run; returns why not all of it was in place, if so."""
    try:
        async with asyncio.timeout(_ROLLED_OUT_S):
            await rolling.ended()
    except TimeoutError:
        rolled = f"it was not over after {_ROLLED_OUT_S:g} s"
    else:
        rolled = rolling.failed.splitlines()[0] if rolling.failed else ""
    if rolled:
        return f"{rolling.name} was not rolled out in full, so that it was not tried: {rolled}"
    await asyncio.sleep(soak.s)
    return ""


async def _back(service: str, rolling: RollOut, context: ResponseContext, begun: int) -> str:
    before = rolling.before[service]
    try:
        await releases(context.estate).change(service, before)
    except EnvironmentBroken as error:
        return f"{service} did not come back: {error}"
    said = await roll_out.said_version(service, rolling.release, context.estate)
    was = rolling.said.get(service)
    if said is not None and was is not None and said != was:
        return f"{service} says it is {said} after the roll-back, and said {was} before the roll-out"
    if said is None or said == rolling.release.version:
        return f"{service} says it is {said or 'nothing'} after the roll-back"
    _record(context, "restored", begun, service=service, says=said)
    return ""


def _record(context: ResponseContext, fact: str, since_ns: int, **facts: object) -> None:
    context.record(fact, after_ms=elapsed_ms(since_ns), **facts)
