"""roll-forward: a further release, a fixed one, is rolled out over one that cannot be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines import roll_out
from chaoskit.engines.roll_out import RollOut
from chaoskit.model.member import ResponseContext, ResponseFailed, refuse_services
from chaoskit.model.plan import PlannedStep
from chaoskit.model.releases import releases
from chaoskit.model.system import System
from chaoskit.registry import register


@register("responses", "roll-forward")
@dataclass(frozen=True)
class RollForward:
    """The release named by `to:` is rolled out over the latest one: for data that the version before cannot read.

    1. Halt. A roll-out that is still under way changes nothing more.
    2. Roll out. The fix's schema, then its services, by its own strategy or the one given here; and when the last of
       them is changed, what its migration leaves until then (`finish`: the data that the bad release has written).
    3. Proof. Each of its services must itself say that it is the fix, and none that the bad release had changed may
       be left with it.

    What the release has written stays, and nobody's payment is given up for the way back; how long the fix takes to be
    written is people's time (`decision:`). Whether the data can be read then is what `old-reads-new` and
    `nothing-lost` judge. The undo of the roll-out below takes the fix's schema back first, where it has a `down`.
    Fidelity on `local` and `docker`: as with `upgrade.roll-out`.

        timeline:
          - after: 5s
            respond: roll-forward
            to: mended
            decision: {role: release-manager, takes: 30m}
    """

    to: Annotated[str, Field(description="the release of system.yaml that is the fix")]
    strategy: roll_out.AskedStrategy = None
    pause: roll_out.AskedPause = None
    requires: ClassVar[frozenset[str]] = frozenset({"lifecycle", "links", "releases"})
    mends_books: ClassVar[bool] = True

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, for a release that is not there."""
        refuse_services(on, "the release that `to:` names says which services it is for")
        if self.to not in system.releases:
            known = ", ".join(system.releases) or "none"
            raise ValueError(f"`to: {self.to}` must be one of system.yaml's `releases:`; known: {known}")

    def check_order(self, earlier: Sequence[PlannedStep]) -> None:
        """Raises ValueError, while planning, where there is nothing else to put it over."""
        if not roll_out.planned(earlier) - {self.to}:
            raise ValueError(
                f"`roll-forward` goes over a roll-out, and no `{roll_out.FAULT}` comes before it"
            )

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        estate, begun = context.estate, monotonic_ns()
        found = roll_out.begun(estate)
        if not found:
            raise ResponseFailed("no release was rolled out in this run")
        bad = found[-1]
        if bad.name == self.to:
            raise ResponseFailed(f"{self.to} is what was rolled out last: there is nothing to put it over")
        context.change()
        await bad.halt()
        _record(context, "halted", begun, release=bad.name, changed=list(bad.changed))
        release = estate.plan.system.releases[self.to]
        fix = RollOut(
            name=self.to,
            release=release,
            estate=estate,
            strategy=self.strategy or release.strategy,
            pause=self.pause or release.pause,
            before={service: releases(estate).running(service) for service in release.services},
            over=bad.name,
        )
        roll_out.begin(fix)
        await fix.ended()
        troubles = [fix.failed.splitlines()[0]] if fix.failed else []
        if fix.finished and release.migration is not None:
            script = release.migration.finish
            _record(context, "finished", begun, release=self.to, over=bad.name, script=script)
        troubles += await self._proven(fix, bad, context, begun)
        if troubles:
            raise ResponseFailed("; ".join(troubles))

    async def _proven(self, fix: RollOut, bad: RollOut, context: ResponseContext, begun: int) -> list[str]:
        """What is not as it should be, in words; each service that says it is the fix is recorded."""
        troubles = []
        for service in fix.release.services:
            said = await roll_out.said_version(service, fix.release, context.estate)
            if said == fix.release.version:
                _record(
                    context, "forwarded", begun, release=fix.name, over=bad.name, service=service, says=said
                )
            else:
                troubles.append(f"{service} says it is {said or 'nothing'}, and not {fix.release.version}")
        left = [one for one in bad.changed if one not in fix.release.services]
        return [*troubles, *(f"{one} still runs {bad.name}, as {fix.name} is not for it" for one in left)]


def _record(context: ResponseContext, fact: str, since_ns: int, **facts: object) -> None:
    context.record(fact, after_ms=elapsed_ms(since_ns), **facts)
