"""A run in which the fault destroyed data, and a last step put the books right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.histories.builder import BACK, DRILL, KILL_LO, MS, SYSTEM, ZERO, RunBuilder, S, drill, plan_for

MENDING = ("promote", "again")


def destroyed(
    *,
    again: int = ZERO + 6 * S,
    failed: int | None = None,
    people: int = 0,
    attacked_again: int | None = None,
    good: Callable[[int], bool] = lambda t: not KILL_LO <= t < BACK,
    system: dict[str, Any] = SYSTEM,
    flags: bool = True,
    **changes: Any,
) -> RunBuilder:
    """`again`: when what customers had been told was sent again; `failed`: when a second such step began, in vain.

    `people`: modelled time, ns, of the decision before `again`. `flags` False: a plan from before steps said what they
    do to data.
    """
    timeline = [*DRILL["timeline"], {"id": "again", "when": {"done": "promote"}, "respond": "resubmit"}]
    if attacked_again is not None:
        timeline.append({"id": "late", "at": "6s", "fault": "process.kill", "on": ["db"]})
    if failed is not None:
        timeline.append({"id": "in-vain", "when": {"done": "again"}, "respond": "resubmit"})
    plan = plan_for(drill(timeline=timeline, **changes), system)
    if flags:
        steps = (
            step.model_copy(
                update={
                    "destroys_data": step.kind == "fault",
                    "mends_books": step.id in (*MENDING, "in-vain"),
                }
            )
            for step in plan.steps
        )
        plan = plan.model_copy(update={"steps": tuple(steps)})
    builder = RunBuilder(plan=plan).crash(good)
    if people:
        builder.event(again - 950 * MS, "decision.begin", step="again", role="operator")
        builder.event(again - 910 * MS, "decision.end", step="again", takes_ns=people, slept_ns=0)
    builder.event(min(again - MS, ZERO + 1600 * MS), "response.begin", step="again", name="resubmit", on=[])
    builder.event(again, "response.done", step="again")
    if failed is not None:
        builder.event(failed, "response.begin", step="in-vain", name="resubmit", on=[])
        builder.event(failed + S, "response.failed", step="in-vain", error="no answer")
    if attacked_again is not None:
        at = attacked_again
        builder.event(at, "fault.begin", step="late", name="process.kill", target="db", lo=at)
        builder.event(at + MS, "fault.witnessed", step="late", target="db", hi=at + MS, how="gone")
    return builder
