"""A scratch folder goes with its owner, or with `chaoskit clean` when the owner was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from chaoskit.cli import leftovers
from chaoskit.scratch import remove_abandoned, scratch


@pytest.fixture(autouse=True)
def a_temporary_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def killed_owner(tmp_path: Path) -> Path:
    program = (
        "import tempfile, sys; tempfile.tempdir = sys.argv[1]\n"
        "from chaoskit.scratch import scratch\n"
        "with scratch('measure') as folder:\n"
        "    (folder / 'own.jsonl').write_text('{}')\n"
        "    print(folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        assert folder.is_dir()
        assert remove_abandoned() == [], "its owner lives"
        owner.kill()
    return folder


def test_it_ends_with_the_block() -> None:
    with scratch("measure") as folder:
        assert folder.is_dir()
        assert remove_abandoned() == []
        assert folder.is_dir()
    assert not folder.exists()


def test_what_a_killed_owner_left_is_removed_once(tmp_path: Path) -> None:
    folder = killed_owner(tmp_path)
    assert folder.is_dir()
    assert remove_abandoned() == [f"{folder}: scratch of a process that was killed, removed"]
    assert not folder.exists()
    assert remove_abandoned() == []


def test_clean_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    folder = killed_owner(tmp_path)
    assert f"{folder}: scratch of a process that was killed, removed" in leftovers.clean()


def test_only_what_is_certainly_nobodys_is_removed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "chaoskit-scratch-link").symlink_to(elsewhere)
    (tmp_path / "chaoskit-scratch-file").write_text("")
    being_made = tmp_path / "chaoskit-scratch-new"
    being_made.mkdir()
    assert remove_abandoned() == []
    assert being_made.is_dir()
    os.utime(being_made, (0, 0))
    assert len(remove_abandoned()) == 1
    assert elsewhere.is_dir()
