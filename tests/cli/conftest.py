"""A small system whose drills take seconds, and one recorded run of it for every test that needs one."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pytest_plugin.staged_runs import COMPOSE, SYSTEM, drill

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True)
class Ended:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def both(self) -> str:
        return self.out + self.err


def bound_by_permissions() -> None:
    """In a child, before exec: even root must obey the modes of files it does not own."""
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl")


class Desk:
    """A folder to type commands in, with a state directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        (folder / "system.yaml").write_text(SYSTEM)
        (folder / "compose.yaml").write_text(COMPOSE)
        self.drill = folder / "shop.yaml"
        self.drill.write_text(drill(title="The shop dies"))

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
        # No engine: what other tests have left there for their own healing is none of this desk's business.
        engine = f"unix://{self.folder / 'no-engine.sock'}"
        return {**kept, "CHAOSKIT_STATE_DIR": str(self.state), "DOCKER_HOST": engine, **(more or {})}

    def popen(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        preexec: Callable[[], None] | None = None,
        stdout: int = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "chaoskit", *map(str, arguments)],
            cwd=cwd or self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            preexec_fn=preexec,
        )

    def chaoskit(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        preexec: Callable[[], None] | None = None,
    ) -> Ended:
        """Run one command to its end; a traceback in what it says is a failure, whatever the test is about."""
        process = self.popen(*arguments, env=env, cwd=cwd, preexec=preexec)
        out, err = process.communicate(timeout=200)
        ended = Ended(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
        assert "Traceback" not in ended.both, ended.both
        return ended


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a real drill that passed; copy it before changing anything."""
    desk = Desk(tmp_path_factory.mktemp("recorded"))
    ended = desk.chaoskit("run", desk.drill)
    assert ended.code == 0, ended.both
    (folder,) = (desk.folder / "reports").iterdir()
    return folder


@pytest.fixture
def run_folder(recorded: Path, tmp_path: Path) -> Path:
    """A copy that the test may do anything to."""
    return Path(shutil.copytree(recorded, tmp_path / "reports" / recorded.name))
