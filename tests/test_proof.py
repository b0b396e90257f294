"""What a proof leaves out: nothing that did nothing in the run as written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit import judging, pipeline, registry
from chaoskit.model.plan import Plan
from chaoskit.planner.controls import Control, controls_of
from chaoskit.proof import futile, prove, unshown
from tests.histories.builder import ZERO, S
from tests.histories.destroyed import destroyed


def run(*done: str, well_ns: int | None = 50, never_bad: bool = False) -> Any:
    steps = [
        SimpleNamespace(id="attack", kind="fault"),
        SimpleNamespace(id="isolate", kind="response"),
        SimpleNamespace(id="restore", kind="response"),
    ]
    events = [SimpleNamespace(kind="response.done", data={"step": step}, t=9) for step in done]
    events.append(
        SimpleNamespace(kind="response.failed", data={"step": "restore", "error": "no manifest"}, t=9)
    )
    events.append(SimpleNamespace(kind="fault.undone", data={"step": "attack"}, t=40))
    journeys = {"pay": SimpleNamespace(never_bad=never_bad, recovered_at=well_ns)}
    return SimpleNamespace(
        history=SimpleNamespace(plan=SimpleNamespace(steps=steps), events=events),
        measurements=SimpleNamespace(journeys=journeys),
    )


def test_an_end_that_came_when_customers_were_well_again_was_no_recovery() -> None:
    end = Control("leave-out", "attack", "the end of attack")
    assert list(futile((end,), run(well_ns=30))) == [end]
    assert futile((end,), run(well_ns=50)) == {}
    assert futile((end,), run(well_ns=None)) == {}  # they never were
    assert (
        futile((end,), run(well_ns=None, never_bad=True)) == {}
    )  # nobody felt anything: a control has to show it


def test_a_fault_whose_end_was_not_left_out_is_not_shown_to_matter_by_it() -> None:
    end = Control("leave-out", "attack", "the end of attack")
    for well_ns, named in ((30, ("attack.flood on web (step attack)",)), (50, ())):
        written = run(well_ns=well_ns)
        written.measurements.faults = (SimpleNamespace(step="attack", name="attack.flood", target="web"),)
        written.measurements.journeys["pay"].started_by = ()
        assert unshown((end,), written) == named


def test_a_response_that_found_nothing_to_do_is_not_left_out() -> None:
    isolate = Control("leave-out", "isolate", "isolate")
    idle = run("isolate")
    about = {"step": "isolate", "fact": "nothing-to-mend", "service": "standby"}
    idle.history.events.append(SimpleNamespace(kind="response.fact", data=about, t=9))
    assert list(futile((isolate,), idle)) == [isolate]


def test_only_a_response_that_came_to_its_end_can_be_left_out() -> None:
    disarm, end = Control("disarm", "attack", "attack"), Control("leave-out", "attack", "the end of attack")
    isolate, restore = Control("leave-out", "isolate", "isolate"), Control("leave-out", "restore", "restore")
    watchdog = Control("kill", "restore", "a watchdog that is called like a step")
    every = (disarm, end, isolate, restore, watchdog)
    assert list(futile(every, run("isolate"))) == [restore]
    assert futile(every, run("isolate", "restore")) == {}
    assert list(futile(every, run())) == [isolate, restore]


def test_checks_that_pass_only_where_the_system_answered() -> None:
    found = {name for name, one in registry.members("checks").items() if getattr(one, "answers", False)}
    assert found == {"attack-repelled", "tampering-noticed"}


@pytest.mark.parametrize(("again_s", "least_s", "most_s"), [(3, 12.5, 12.8), (8, 23.9, 24.1)])
def test_a_proof_of_destroyed_data_waits_for_right_books_and_for_nobody_who_is_modelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again_s: int, least_s: float, most_s: float
) -> None:
    """The drill as written meets the limit that its control is judged against, or the control could miss nothing."""
    asked = {"objectives": {"transfer": {"rto": "10m"}}, "checks": []}
    builder = destroyed(again=ZERO + again_s * S, people=300 * S, **asked)
    written = judging.judge_folder(builder.write(tmp_path / "written"))
    plan = written.history.plan
    limits: list[float] = []

    def run_plan(changed: Plan, **_: object) -> judging.Run:
        if changed is plan:
            return written
        limits.extend(one.rto.s for one in changed.drill.objectives.values() if one.rto is not None)
        builder.postings.pop(0)  # what nobody has sent again
        return judging.judge_folder(builder.write(tmp_path / "without"))

    monkeypatch.setattr(pipeline, "run_plan", run_plan)
    again = next(one for one in controls_of(plan, registry) if (one.kind, one.step) == ("leave-out", "again"))
    found = [one.verdict for one in prove(plan, (again,), tmp_path)]
    assert written.result.outcome == "pass"
    assert found[0].proven
    assert least_s < limits[0] < most_s
    assert "does not meet either" not in found[1].reason
    if limits[0] < 13:  # the run was watched for as long
        assert found[1].proven
        assert found[1].reason.startswith("misses transfer.rto: ")
