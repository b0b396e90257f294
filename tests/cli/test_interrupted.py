"""A run whose terminal goes away heals and is judged, as one that a person stops."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.cli.conftest import Desk


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_heals_and_judges(desk: Desk, number: signal.Signals) -> None:
    reports = desk.folder / "reports"
    process = desk.popen("run", desk.drill)
    try:
        deadline = time.monotonic() + 180  # another measurement on this machine may come first
        while not any('"fault.witnessed"' in one.read_text() for one in reports.glob("*/events.jsonl")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        process.send_signal(number)
        out, err = process.communicate(timeout=150)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, (out + err).decode()
    assert b"Traceback" not in out + err
    (folder,) = (desk.folder / "reports").iterdir()
    assert json.loads((folder / "result.json").read_text())["outcome"] == "aborted"
    assert not list((desk.state / "runs").iterdir())


def test_whoever_leaves_gets_the_drill_ended_by_its_verdict(desk: Desk) -> None:
    """`chaoskit run … | head -1`."""
    process = desk.popen("run", desk.drill)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), err) == (0, b"")
    (folder,) = (desk.folder / "reports").iterdir()
    assert json.loads((folder / "result.json").read_text())["outcome"] == "pass"


def test_a_second_result_stands_beside_the_first(desk: Desk) -> None:
    assert desk.chaoskit("run", desk.drill).code == 0
    (folder,) = (desk.folder / "reports").iterdir()
    first = (folder / "result.json").read_bytes()
    other = desk.folder / "other.yaml"
    other.write_text(desk.drill.read_text().replace("rto: 20s", "rto: 20s, success: 100%"))
    judged = desk.chaoskit("judge", folder, "--drill", other)
    assert judged.code in (0, 1), judged.both
    assert f"written: reports/{folder.name}/result-2.json" in judged.out
    assert (folder / "result.json").read_bytes() == first
    again = desk.chaoskit("judge", folder)
    assert (again.code, "written:" in again.out) == (0, False)
