"""The whole command, killed: nothing is left, and what it had recorded can be judged."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from chaoskit.machine import this_machine
from tests.end_to_end.conftest import Workplace
from tests.end_to_end.test_exit_codes import left_running, wait_for_event

WITHIN_S = 15.0
"""A leak stays; that it takes two seconds is for the slow tier to show, on a machine of its own."""


@pytest.mark.parametrize("kind", ["run.begin", "estate.ready", "lease.held", "fault.begin", "detect.alert"])
def test_sigkill_of_the_command(workplace: Workplace, kind: str) -> None:
    process = subprocess.Popen(
        workplace.command("run", workplace.drill(), "--reports", workplace.reports),
        cwd=workplace.folder,
        env=workplace.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_for_event(workplace, kind)
        # Whatever belongs to the run names its scratch folder: in its environment, its arguments or as its place.
        scratch = [json.loads(path.read_text())["scratch"] for path in records_of(workplace)]
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + WITHIN_S
    while (left := left_of(workplace, scratch)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []

    (folder,) = workplace.folders()
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines() if line]
    assert events[0]["kind"] == "run.begin"
    assert events[0]["data"]["machine"] == this_machine()
    judged = workplace.chaoskit("judge", folder)
    assert judged.code in (3, 4), judged.both
    assert "Traceback" not in judged.both
    assert workplace.result()["outcome"] in ("unknown", "aborted")
    assert workplace.chaoskit("heal").code == 0


def records_of(workplace: Workplace) -> list[Path]:
    """What runs keep on disk while they live."""
    return list(Path(workplace.environment["CHAOSKIT_STATE_DIR"]).glob("runs/*/supervisor.json"))


def left_of(workplace: Workplace, scratch: list[str]) -> list[str]:
    """Processes, folders and records of the run that are still there."""
    places = [Path(one) for one in scratch]
    running = [line for place in (workplace.folder, *places) for line in left_running(place)]
    return [*running, *(str(one) for one in places if one.exists()), *map(str, records_of(workplace))]
