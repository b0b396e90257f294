"""What a proof leaves out: nothing that did nothing in the run as written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from chaoskit import registry
from chaoskit.planner.controls import Control
from chaoskit.proof import futile, unshown


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
