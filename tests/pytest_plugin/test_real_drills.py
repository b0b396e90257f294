"""Real runs under pytest: a green one, a red one with what it says, and Ctrl-C in the middle of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pytest_plugin.staged_runs import drill, write


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:randomly", *arguments],
        cwd=folder,
        env={**os.environ, "CHAOSKIT_STATE_DIR": str(folder / "state")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_green_and_red(tmp_path: Path) -> None:
    # Twenty misses take a second, in which some of twenty customers a second are turned away.
    slow = drill("shop-slow", "slow", rto="20s, success: 100%").replace("misses: 2}", "misses: 20}")
    write(tmp_path, a=drill("shop-fine", "fine"), b=slow)
    process = start(tmp_path, "--junitxml=out.xml")
    out, _ = process.communicate(timeout=200)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, out
    assert "1 failed, 1 passed" in out
    assert "b.yaml:11:30: fail: visit.success: " in out
    assert "FAULT process.kill on web" in out, "the timeline is what pytest shows as captured output"
    assert "Traceback" not in out
    outcomes = {
        json.loads((folder / "result.json").read_text())["drill"]: folder
        for folder in (tmp_path / "reports").iterdir()
    }
    assert sorted(outcomes) == ["shop-fine", "shop-slow"]
    assert f'name="run_folder" value="{outcomes["shop-slow"]}"' in (tmp_path / "out.xml").read_text()


def test_ctrl_c_heals_and_ends_the_session(tmp_path: Path) -> None:
    write(tmp_path, a=drill("shop-first", "first"), b=drill("shop-second", "second"))
    process = start(tmp_path)
    try:
        assert witnessed(tmp_path / "reports", within_s=180)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, out
    assert "KeyboardInterrupt: shop-first was interrupted and has healed" in out
    assert "Traceback" not in out
    (folder,) = (tmp_path / "reports").iterdir()
    assert json.loads((folder / "result.json").read_text())["exit-code"] == 130
    assert not list((tmp_path / "state" / "runs").iterdir())


def witnessed(reports: Path, within_s: float) -> bool:
    """Poll events.jsonl, the only outside sign of how far a run is."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if any('"fault.witnessed"' in path.read_text() for path in reports.glob("*/events.jsonl")):
            return True
        time.sleep(0.02)
    return False
