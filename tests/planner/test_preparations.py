"""What faults need before the start is in the plan; what a runtime cannot do is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import pipeline, registry
from chaoskit.errors import InputError
from chaoskit.model.plan import Plan
from chaoskit.model.preparation import ClockPreparation, DiskPreparation, merged
from chaoskit.spec import load

DRILLS = Path(__file__).parents[2] / "drills"
BANK = [
    path
    for name in ("server", "resilience", "upgrade", "attack")
    for path in sorted(DRILLS.glob(f"{name}/*.yaml"))
]
LACKING = {
    "disk-fills-up": "disks",
    "ledger-clock-skew": "clocks",
    "ledger-cpu": "limits",
    "ledger-disk-full": "disks",
    "ledger-disk-slow": "disks",
    "ledger-memory": "limits",
    "ledger-partition": "networks",
    "memory-warned": "limits",
}


def plan(path: Path, runtime: str) -> Plan:
    return pipeline.make_plan(load(path, registry), runtime)


def drill(name: str) -> Path:
    return next(path for path in BANK if path.stem == name)


@pytest.mark.parametrize("path", BANK, ids=lambda path: path.stem)
def test_every_drill_of_the_bank_is_planned_on_docker_and_on_local_or_refused_there_by_name(
    path: Path,
) -> None:
    assert plan(path, "docker").steps
    if path.stem not in LACKING:
        assert plan(path, "local").preparations == ()
        return
    with pytest.raises(
        InputError, match=f"needs {LACKING[path.stem]}, which the runtime `local` does not offer"
    ):
        plan(path, "local")


def test_the_plan_names_what_is_made_before_the_start() -> None:
    disk = DiskPreparation(service="ledger-db", path="/var/lib/postgresql/data", size=512_000_000)
    assert plan(drill("ledger-disk-full"), "docker").preparations == (disk,)
    made = plan(drill("ledger-clock-skew"), "docker")
    assert made.preparations == (ClockPreparation(service="ledger"),)
    assert Plan.model_validate_json(made.model_dump_json()).preparations == made.preparations
    assert plan(drill("ledger-cpu"), "docker").preparations == ()


def test_of_several_disks_at_one_place_the_largest_is_made() -> None:
    small, large = (DiskPreparation(service="a", path="/x", size=size) for size in (1, 2))
    other = DiskPreparation(service="b", path="/x", size=1)
    assert merged((small, other, large, small)) == (large, other)


def test_who_cannot_be_parted_is_told_at_the_step(tmp_path: Path) -> None:
    text = drill("ledger-partition").read_text(encoding="utf-8")
    system = (DRILLS.parent / "fixtures" / "bank" / "system.yaml").as_posix()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        text.replace("from: [ledger-db-standby]", "from: [nobody]").replace(
            "../../fixtures/bank/system.yaml", system
        ),
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="`from` names nobody, which is no service"):
        plan(wrong, "docker")
