"""The machine of a run: how many processors, how much of them, and which."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from chaoskit import machine
from chaoskit.machine import cpu_quota, this_machine
from chaoskit.runtimes.control_groups import UNIFIED, ControlGroup


def within(monkeypatch: pytest.MonkeyPatch, folder: Path | None, controller: str = UNIFIED) -> None:
    group = None if folder is None else ControlGroup({controller: folder})
    monkeypatch.setattr(machine, "of_process", lambda pid: group)


def test_this_machine_says_what_recovery_times_depend_on() -> None:
    told = this_machine()
    assert told["cpus"] == len(os.sched_getaffinity(0))
    assert told["processor"] == platform.machine()
    named = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    assert told["model"] == (named[0].partition(":")[2].strip() if named else "")


@pytest.mark.parametrize(
    ("own", "above", "quota"),
    [
        ("150000 100000", "max 100000", 1.5),
        ("max 100000", "50000 100000", 0.5),
        ("400000 100000", "50000 100000", 0.5),
        ("max 100000", "max 100000", None),
        ("rubbish", "0 0", None),
    ],
)
def test_the_least_quota_of_the_groups_above_counts(
    own: str, above: str, quota: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "slice" / "job"
    folder.mkdir(parents=True)
    (folder / "cpu.max").write_text(f"{own}\n")
    (folder.parent / "cpu.max").write_text(f"{above}\n")
    within(monkeypatch, folder)
    assert cpu_quota() == quota


def test_version_1_has_two_files_and_minus_one_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu.cfs_quota_us").write_text("75000\n")
    within(monkeypatch, tmp_path, "cpu")
    assert cpu_quota() == 0.75
    (tmp_path / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpu_quota() is None


def test_no_control_group_and_none_of_processors_set_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within(monkeypatch, None)
    assert cpu_quota() is None
    within(monkeypatch, tmp_path, "memory")
    assert cpu_quota() is None
