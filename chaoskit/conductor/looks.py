"""Steps that look: a probe asked once for each target. What it sees is a fact of the run and decides nothing."""

from __future__ import annotations

import asyncio

from chaoskit.conductor.stage import Stage
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.member import Look, Probe
from chaoskit.model.parameters import build
from chaoskit.model.plan import PlannedStep

LOOK_WITHIN_S = 10.0


async def look(stage: Stage, step: PlannedStep) -> None:
    """Ask the step's probe about every target; one that does not answer is not ok, and the run goes on."""
    probe: Probe = build(stage.registry.member("probes", step.name), step.params)
    lasting = getattr(
        probe, "lasting", None
    )  # one that watches for a while has that long, and then as any other
    within_s = LOOK_WITHIN_S + max(LOOK_WITHIN_S, lasting.s if lasting is not None else 0)
    for target in step.on:
        begun = stage.clock()
        try:
            async with asyncio.timeout(within_s):
                seen = await probe.look(target, stage.estate, LOOK_WITHIN_S)
        except (EnvironmentBroken, OSError, TimeoutError) as error:
            seen = Look(False, f"{type(error).__name__}: {error}" if str(error) else "no answer in time")
        stage.recorder.record(
            "probe.looked",
            step=step.id,
            name=step.name,
            target=target,
            begun=begun,
            ok=seen.ok,
            detail=seen.detail,
            found=list(seen.found),
            **({"facts": dict(seen.facts)} if seen.facts else {}),
        )
