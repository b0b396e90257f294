"""Real runs of the real command on the reference bank, shortened; each in its own state and reports folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BANK = ROOT / "fixtures" / "bank" / "system.yaml"

SHORT = f"""\
drill: short
title: The primary dies
system: {BANK}
seed: 3
load: {{transfer: 30/s, balance: 10/s}}
steady: {{for: 2s, success: 95%, p99: 500ms, within: 30s}}
timeline:
  - {{at: 0s, id: crash, fault: process.kill, on: ledger-db}}
  - {{when: {{down: ledger-db, every: 100ms, misses: 3}}, id: promote, respond: promote-standby}}
objectives:
  transfer: {{rto: 1m, lost: 0}}
  balance: {{rto: 1m}}
settle: {{hold: 2s, gap: 500ms}}
checks: [books-balance, nothing-lost, nothing-doubled]
"""


@dataclass(frozen=True)
class Command:
    """A finished `chaoskit` command."""

    code: int
    out: str
    err: str

    @property
    def both(self) -> str:
        return self.out + self.err


class Workplace:
    """A folder of one test: drill files, reports, and a state directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports = folder / "reports"
        self.environment = {
            **os.environ,
            "CHAOSKIT_STATE_DIR": str(folder / "state"),
            "PYTHONUNBUFFERED": "1",
        }

    def drill(self, text: str = SHORT) -> Path:
        path = self.folder / "drill.yaml"
        path.write_text(text)
        return path

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "chaoskit", *map(str, arguments)]

    def chaoskit(self, *arguments: object, timeout_s: float = 200) -> Command:
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Command(done.returncode, done.stdout, done.stderr)

    def run(self, drill: Path, *arguments: object, timeout_s: float = 200) -> Command:
        return self.chaoskit("run", drill, "--reports", self.reports, *arguments, timeout_s=timeout_s)

    def folders(self) -> list[Path]:
        return sorted(self.reports.iterdir()) if self.reports.exists() else []

    def result(self) -> dict[str, Any]:
        (folder,) = self.folders()
        value: dict[str, Any] = json.loads((folder / "result.json").read_text())
        return value


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture
def edited() -> Callable[..., str]:
    """`edited(("old", "new"), …)`: the short drill with pieces replaced; a piece that is not there is an error."""

    def edit(*changes: tuple[str, str]) -> str:
        text = SHORT
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
            text = text.replace(old, new)
        return text

    return edit
