"""The page on engineers' own tests: its tests pass as they stand, on both runtimes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_tutorial import ROOT, environment_of, files_of

PAGE = "engineers-tests.md"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with the bank in it and the page's files."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    for name, text in files_of(PAGE).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def session(place: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", *arguments],
        cwd=place,
        env=environment_of(place),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert not list((place / "state" / "runs").iterdir())
    return done.stdout


def test_its_tests_pass_on_this_machine(place: Path) -> None:
    assert "6 passed" in session(place, "test_bank.py", "test_marked.py")


@pytest.mark.docker
@pytest.mark.timeout(300)
def test_its_tests_pass_on_docker(place: Path) -> None:
    assert "6 passed" in session(place, "--chaos-runtime", "docker", "test_bank.py", "test_clock.py")
