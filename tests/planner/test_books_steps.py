"""What steps do to data is frozen in the plan, so that an old run can be judged without its members."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaoskit import registry, spec
from chaoskit.model.plan import PlannedStep
from chaoskit.planner.planner import plan_steps

DRILLS = Path(__file__).parents[2] / "drills"


def steps_of(drill: str) -> tuple[PlannedStep, ...]:
    loaded = next(one for _, one in spec.cells(spec.load(DRILLS / drill, registry)))
    return plan_steps(loaded, registry)


@pytest.mark.parametrize(
    ("drill", "destroying", "mending"),
    [
        (
            "attack/ledger-ransomware.yaml",
            ["attack.ransomware", "restore-backup"],
            ["restore-backup", "resubmit"],
        ),
        (
            "attack/operator-truncates.yaml",
            ["mistake.wrong-command", "restore-backup"],
            ["restore-backup", "resubmit"],
        ),
        ("attack/rogue-admin.yaml", [], []),
        ("upgrade/restore-and-replay.yaml", ["restore-backup"], ["restore-backup", "resubmit"]),
        ("upgrade/bad-upgrade.yaml", [], []),
        ("upgrade/forward-fix.yaml", [], ["roll-forward"]),
        ("resilience/stand-in.yaml", [], ["replay-stand-in"]),
    ],
)
def test_what_shipped_drills_do_to_data(drill: str, destroying: list[str], mending: list[str]) -> None:
    steps = steps_of(drill)
    assert [one.name for one in steps if one.destroys_data] == destroying
    assert [one.name for one in steps if one.mends_books] == mending


def test_a_step_from_before_steps_said_so_is_read() -> None:
    old = json.loads(steps_of("attack/operator-truncates.yaml")[0].model_dump_json())
    assert old.pop("destroys-data") is True
    del old["mends-books"]
    read = PlannedStep.model_validate_json(json.dumps(old))
    assert (read.destroys_data, read.mends_books) == (False, False)
