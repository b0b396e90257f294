"""The tutorial and the pytest page do what they say, in a folder with a space in its name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"^```\w+ file=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(page: str) -> dict[str, str]:
    return dict(FILE.findall((ROOT / "docs" / page).read_text(encoding="utf-8")))


def commands_of(page: str) -> list[str]:
    blocks = SHELL.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def environment_of(folder: Path) -> dict[str, str]:
    """As after activating the environment: its commands are on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "CHAOSKIT_STATE_DIR": str(folder / "state")}


def typed(command: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment_of(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder, as the tutorial asks for, with its files."""
    folder = tmp_path / "my first drill"
    folder.mkdir()
    for name, text in files_of("tutorial.md").items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_every_command_of_the_tutorial(place: Path) -> None:
    said = {command: typed(command, place) for command in commands_of("tutorial.md")}
    assert "drill.yaml: ok (web-crash" in said["chaoskit validate drill.yaml"]
    assert "0s: process.kill on web" in said["chaoskit plan drill.yaml"]
    assert "web-crash: pass (machine " in said["chaoskit run drill.yaml"]
    assert "1 passed" in said["pytest drill.yaml"]
    assert [text for command, text in said.items() if command.startswith("chaoskit judge")]


def test_the_fixture_of_the_pytest_page(place: Path) -> None:
    for name, text in files_of("pytest.md").items():
        (place / name).write_text(text, encoding="utf-8")
    assert "1 passed" in typed("pytest -p no:randomly test_crash.py", place)


@pytest.mark.slow
def test_installed_away_from_the_checkout(place: Path, tmp_path: Path) -> None:
    """`pip install .` into a new environment; what it needs comes from the pinned requirements, as in set-up."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=120)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--require-hashes", "-r", ROOT / "requirements" / "dev.txt"], check=True, timeout=600
    )
    source = tmp_path / "source"
    source.mkdir()
    for name in ("chaoskit", "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-r", ROOT / name, source], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", source], check=True, timeout=300)
    environment = {**environment_of(place), "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    for command in commands_of("tutorial.md"):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
