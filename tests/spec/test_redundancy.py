"""The clock `redundancy-restored` in drill and system files: mistakes told at their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec import sample_files
from tests.spec.test_drill_file import load, refusal

ASKED = "objectives:\n  redundancy-restored: {rto: 60s}\n"
SYSTEM = sample_files.SYSTEM.replace("user: app}", "user: app, superuser: root, superuser-password: x}")


def drill(objective: str = ASKED) -> str:
    return sample_files.DRILL.replace("objectives:\n", objective)


def test_it_is_asked_for_and_may_be_what_is_expected_to_fail(tmp_path: Path) -> None:
    loaded = load(tmp_path, drill=drill(), system=SYSTEM)
    assert str(loaded.drill.objectives["redundancy-restored"].rto) == "60s"
    load(tmp_path, drill=drill() + "expect: {fail: redundancy-restored.rto}\n", system=SYSTEM)


@pytest.mark.parametrize(
    ("system", "objective", "said"),
    [
        (sample_files.SYSTEM, ASKED, "nobody may look at the replication of `database`"),
        (SYSTEM.replace(", standby: db2", ""), ASKED, "no database role has a standby"),
        (SYSTEM, ASKED.replace("rto: 60s", "rto: 60s, lost: 0"), "redundancy has an `rto`, and nothing else"),
        (SYSTEM, ASKED.replace("rto: 60s", "lost: 0"), "redundancy has an `rto`, and nothing else"),
    ],
)
def test_mistakes_in_the_objective(tmp_path: Path, system: str, objective: str, said: str) -> None:
    text = refusal(tmp_path, drill=drill(objective), system=system)
    assert f"drill.yaml:15:3: {said}" in text, text


def test_a_slip_in_its_name_is_told_with_the_right_one(tmp_path: Path) -> None:
    text = refusal(tmp_path, drill=drill(ASKED.replace("restored", "restord")), system=SYSTEM)
    assert "did you mean `redundancy-restored`?" in text, text


def test_no_journey_has_its_name(tmp_path: Path) -> None:
    text = refusal(tmp_path, system=SYSTEM.replace("  balance:\n", "  redundancy-restored:\n"))
    assert "no journey may be called `redundancy-restored`" in text
