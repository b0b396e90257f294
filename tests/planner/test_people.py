"""Human time in a plan: what is modelled, what is waited for, who decides, and who has to be there to be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import pipeline, planner, registry, spec
from chaoskit.errors import InputError
from chaoskit.planner.people import people_ns
from tests.pytest_plugin.staged_runs import drill, write

S = 10**9
LINE = "substitutes: {boss: [{role: deputy, after: 5s}]}\n"


def loaded(folder: Path, decision: str, more: str = "") -> spec.Loaded:
    text = drill(more=more).replace("on: web}\nobj", f"on: web, decision: {{role: boss, {decision}}}}}\nobj")
    assert decision in text
    write(folder, shop=text)
    system = folder / "system.yaml"
    system.write_text(system.read_text() + LINE)
    return spec.load(folder / "shop.yaml", registry)


@pytest.mark.parametrize(
    ("decision", "absent", "pace", "modelled_s", "lived_s"),
    [
        ("takes: 8s", "", "drill", 8, 0),
        ("takes: 8s, pace: 2s", "", "drill", 6, 2),
        ("takes: 8s, pace: 2s", "", "real", 0, 8),
        ("takes: 8s", "absent: [boss]\n", "drill", 13, 0),
        ("takes: 8s", "absent: [boss]\n", "real", 0, 13),
        ("asked: true, within: 9s", "", "drill", 0, 9),
        ("asked: true, within: 9s", "absent: [boss]\n", "drill", 5, 9),
        ("asked: true, within: 9s", "absent: [boss, deputy]\n", "drill", 5, 0),
    ],
)
def test_human_time(
    tmp_path: Path, decision: str, absent: str, pace: pipeline.Pace, modelled_s: int, lived_s: int
) -> None:
    plan = pipeline.make_plan(loaded(tmp_path, decision, absent), "local", pace, terminal=True)
    assert people_ns(plan.steps, pace) == (modelled_s * S, lived_s * S)
    without = pipeline.make_plan(loaded(tmp_path, "takes: 0s"), "local").deadline.ns
    assert plan.deadline.ns == without + lived_s * S, "whoever is waited for keeps the run open for as long"


def test_an_asked_step_is_refused_where_nobody_can_be_asked(tmp_path: Path) -> None:
    asked = loaded(tmp_path, "asked: true, within: 9s")
    with pytest.raises(InputError) as caught:
        pipeline.make_plan(asked, "local")
    assert f"{tmp_path}/shop.yaml:9:" in str(caught.value)
    assert "the boss is asked on the terminal before `restart-service`, and there is none here" in str(
        caught.value
    )
    pipeline.make_plan(asked, "local", terminal=True)


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        ("", "the boss is asked on the terminal (answer within 9s)"),
        (
            "absent: [boss]\n",
            "the deputy is asked on the terminal (answer within 9s, 5s until reached in place of boss)",
        ),
        ("absent: [boss, deputy]\n", "nobody decides: boss and deputy cannot be reached"),
    ],
)
def test_read_aloud(tmp_path: Path, absent: str, said: str) -> None:
    plan = pipeline.make_plan(loaded(tmp_path, "asked: true, within: 9s", absent), "local", terminal=True)
    assert said in planner.read_aloud(plan)
