"""`watchdogs:` of a system file: a service, a role with a standby, and a link to each of its members."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec import sample_files
from tests.spec.test_drill_file import load, refusal

LINE = "watchdogs: {app: database}\n"


def test_a_watchdog_names_the_role_that_it_brings_back(tmp_path: Path) -> None:
    assert load(tmp_path, system=sample_files.SYSTEM + LINE).system.watchdogs == {"app": "database"}


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
    assert told.startswith(said), told


def test_a_role_without_a_standby_has_nobody_to_take_over(tmp_path: Path) -> None:
    system = sample_files.SYSTEM.replace("primary: db, standby: db2,", "primary: db,")
    assert "the role 'database' has no standby" in refusal(tmp_path, system=system + LINE)
