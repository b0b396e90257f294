"""`watchdogs:` of a system file: a service, a role with a standby, and a link to each of its members."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec import sample_files
from tests.spec.test_drill_file import load, refusal

LINE = "watchdogs: {watch: database}\n"
COMPOSE = sample_files.COMPOSE + "  watch:\n    image: app:1\n"
APART = sample_files.SYSTEM.replace("  - app -> db\n", "  - app -> db\n  - watch -> db\n  - watch -> db2\n")
APART += "  watch: {run: python -m watch}\n"


def test_a_watchdog_names_the_role_that_it_brings_back(tmp_path: Path) -> None:
    assert load(tmp_path, compose=COMPOSE, system=APART + LINE).system.watchdogs == {"watch": "database"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{ap: database}", "system.yaml:34:13: no service is called 'ap'"),
        ("{app: databse}", "system.yaml:34:18: no role is called 'databse'"),
        ("{db: database}", "system.yaml:34:17: 'db' has no link to db"),
    ],
)
def test_mistakes_are_told_at_their_place(tmp_path: Path, line: str, said: str) -> None:
    told = refusal(tmp_path, system=f"{sample_files.SYSTEM}watchdogs: {line}\n")
    assert said in told, told


def test_a_role_without_a_standby_has_nobody_to_take_over(tmp_path: Path) -> None:
    system = sample_files.SYSTEM.replace("primary: db, standby: db2,", "primary: db,")
    assert "the role 'database' has no standby" in refusal(tmp_path, system=system + LINE)


def test_what_customers_need_anyhow_is_no_watchdog_that_a_proof_could_leave_out(tmp_path: Path) -> None:
    told = refusal(tmp_path, system=sample_files.SYSTEM + "watchdogs: {app: database}\n")
    assert told.startswith("system.yaml:34:13: the journey 'transfer' goes through 'app'"), told
