"""What a proof leaves out: nothing that did nothing in the run as written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from chaoskit import registry
from chaoskit.planner.controls import Control
from chaoskit.proof import futile


def run(*done: str) -> Any:
    steps = [
        SimpleNamespace(id="attack", kind="fault"),
        SimpleNamespace(id="isolate", kind="response"),
        SimpleNamespace(id="restore", kind="response"),
    ]
    events = [SimpleNamespace(kind="response.done", data={"step": step}) for step in done]
    events.append(SimpleNamespace(kind="response.failed", data={"step": "restore", "error": "no manifest"}))
    return SimpleNamespace(history=SimpleNamespace(plan=SimpleNamespace(steps=steps), events=events))


def test_only_a_response_that_came_to_its_end_can_be_left_out() -> None:
    disarm, end = Control("disarm", "attack", "attack"), Control("leave-out", "attack", "the end of attack")
    isolate, restore = Control("leave-out", "isolate", "isolate"), Control("leave-out", "restore", "restore")
    watchdog = Control("kill", "restore", "a watchdog that is called like a step")
    every = (disarm, end, isolate, restore, watchdog)
    assert futile(every, run("isolate")) == (restore,)
    assert futile(every, run("isolate", "restore")) == ()
    assert futile(every, run()) == (isolate, restore)


def test_checks_that_pass_only_where_the_system_answered() -> None:
    found = {name for name, one in registry.members("checks").items() if getattr(one, "answers", False)}
    assert found == {"attack-repelled", "tampering-noticed"}
