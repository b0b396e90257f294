"""Proves a drill: runs it as written and with one step taken out at a time; every control must turn red.

as written ─► as expected? ─► without each fault ─► unknown? ─► without each recovery ─► misses an rto?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chaoskit import pipeline, registry
from chaoskit.conductor.stage import Controls
from chaoskit.judge import judge
from chaoskit.judge.controls import (
    ControlVerdict,
    judge_as_written,
    judge_disarmed,
    judge_left_out,
    unfelt_faults,
    why_no_control,
)
from chaoskit.judging import Run
from chaoskit.model.measurement import Measurements
from chaoskit.model.plan import Plan
from chaoskit.planner.controls import (
    Control,
    controls_of,
    nothing_to_leave_out,
    without_fault,
    without_recovery,
)
from chaoskit.spec import Loaded


@dataclass(frozen=True)
class Proven:
    """One run of a proof, with its judgement."""

    run: Run
    verdict: ControlVerdict


def plan_of_proof(loaded: Loaded, runtime: str) -> tuple[Plan, tuple[Control, ...], str | None]:
    """The plan, its controls, and why its recovery cannot be left out (None if it can). Nothing is started."""
    plan = pipeline.make_plan(loaded, runtime)
    return plan, controls_of(plan, registry), nothing_to_leave_out(plan, registry)


def prove(
    plan: Plan, controls: tuple[Control, ...], reports: Path, watch: pipeline.Watch | None = None
) -> Iterator[Proven]:
    """Run the proof step by step. It ends early when the drill itself does not come out as written, or is stopped."""
    written = pipeline.run_plan(plan, reports=reports, watch=watch)
    spared = futile(controls, written)
    left_out = any(control.kind != "disarm" and control not in spared for control in controls)
    verdict = judge_as_written(written.result, written.measurements, left_out, _answering(plan))
    yield Proven(written, verdict)
    if not verdict.proven:
        return
    for control in controls:
        if control in spared:
            continue
        proven = _control(plan, control, written, reports, watch)
        yield proven
        if proven.run.result.exit_code == 130:
            return


def futile(controls: tuple[Control, ...], written: Run) -> dict[Control, str]:
    """Recoveries that recovered nothing in the run as written, and why: there is nothing to leave out."""
    done = {event.data.get("step") for event in written.history.events if event.kind == "response.done"}
    ended = {
        event.data.get("step"): event.t for event in written.history.events if event.kind == "fault.undone"
    }
    facts = [event.data for event in written.history.events if event.kind == "response.fact"]
    idle = {fact.get("step") for fact in facts if str(fact.get("fact")).startswith("nothing-to-")}
    responses = {step.id for step in written.history.plan.steps if step.kind == "response"}
    hurt = [journey for journey in written.measurements.journeys.values() if not journey.never_bad]
    back = [journey.recovered_at for journey in hurt]
    well_ns = None if None in back else max((at for at in back if at is not None), default=None)
    found: dict[Control, str] = {}
    for control in controls:
        if control.kind != "leave-out":
            continue
        if control.step in responses:
            if control.step not in done:
                found[control] = "it failed, or never began, in the run as written"
            elif control.step in idle:
                found[control] = "it found nothing to do in the run as written"
        elif well_ns is not None and ended.get(control.step, 0) > well_ns:
            found[control] = "customers had recovered before it in the run as written"
    return found


def _answering(plan: Plan) -> frozenset[str]:
    """The drill's checks that pass only where the system has answered the fault by itself."""
    return frozenset(
        one for one in plan.drill.checks if getattr(registry.member("checks", one), "answers", False)
    )


def unshown(controls: tuple[Control, ...], written: Run) -> tuple[str, ...]:
    """Faults that started no customer's clock and whose end no control leaves out: the proof does not show that they
    matter.
    """
    spared = futile(controls, written)
    tried = [control for control in controls if control.kind == "leave-out" and control not in spared]
    ended = {step for control in tried for step in control.steps}
    unfelt = [fault for fault in unfelt_faults(written.measurements) if fault.step not in ended]
    return tuple(f"{fault.name} on {fault.target} (step {fault.step})" for fault in unfelt)


def _control(
    plan: Plan, control: Control, written: Run, reports: Path, watch: pipeline.Watch | None
) -> Proven:
    if control.kind == "disarm":
        run = pipeline.run_plan(
            without_fault(plan, control),
            reports=reports,
            watch=watch,
            controls=Controls(disarm=frozenset({control.step})),
        )
        others = any(step.kind == "fault" and step.id != control.step for step in plan.steps)
        unarmed, armed = (None, None) if others else (run.measurements, written.measurements)
        nothing = why_no_control(control.step, run.history, run.measurements)
        return Proven(run, judge_disarmed(control.name, run.result, unarmed, armed, nothing))
    changed = without_recovery(plan, control, _upper_ns(written.measurements))
    taken_out = control.steps
    without = Controls(dead=taken_out) if control.kind == "kill" else Controls(leave_out=taken_out)
    run = pipeline.run_plan(changed, reports=reports, watch=watch, controls=without)
    # The proven run by the same measure: what it meets, the control must miss.
    same, result = (
        judge(one.history, _machine_alone(one.measurements), registry, changed.drill)
        for one in (written, run)
    )
    if run.result.outcome == "aborted":
        result = run.result
    return Proven(run, judge_left_out(control.name, result, same))


def _upper_ns(measured: Measurements) -> int:
    """The longest recovery time that any objective is judged by, people apart; 0 if none came to an end."""
    journeys = measured.journeys.values()
    spans = [one.rta for one in journeys]
    spans += [one.reconciled for one in journeys if one.destroyed_by]  # its RTO waits for them
    spans += [one.restored for one in measured.redundancy]
    return max((one.hi for one in spans if one is not None and one.hi is not None), default=0)


def _machine_alone(measured: Measurements) -> Measurements:
    """Without the human time that was only modelled: the control's limit comes from the machine's own recovery."""
    nobody = {"modelled": 0, "minimum_modelled": 0, "reconciled_modelled": 0}
    journeys = {name: journey.model_copy(update=nobody) for name, journey in measured.journeys.items()}
    redundancy = tuple(one.model_copy(update={"modelled": 0}) for one in measured.redundancy)
    whole = measured.minimum_service
    minimum = None if whole is None else whole.model_copy(update={"modelled": 0})
    return measured.model_copy(
        update={"journeys": journeys, "redundancy": redundancy, "minimum_service": minimum}
    )
