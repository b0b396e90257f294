"""Every documented exit code, shown by the real command on a real run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.end_to_end.conftest import Workplace

Edited = Callable[..., str]
# Two modelled minutes of a person against an objective of one: certainly missed, without waiting for it.
SLOW_PERSON = ("respond: promote-standby}", "respond: promote-standby, decision: {role: manager, takes: 2m}}")
RESPONSE = "  - {when: {down: ledger-db, every: 100ms, misses: 3}, id: promote, respond: promote-standby}\n"


def test_0_pass(workplace: Workplace) -> None:
    done = workplace.run(workplace.drill())
    assert done.code == 0, done.both
    assert "short: pass" in done.out
    result = workplace.result()
    assert result["outcome"] == "pass"
    versions = {one["service"]: one.get("version") for one in result["fidelity"]}
    assert versions["ledger-db"] == versions["ledger-db-standby"]
    assert str(versions["ledger-db"]).startswith("PostgreSQL 18."), "as the image of the docker runtime"


def test_0_exactly_as_expected_and_the_true_verdict_is_kept(workplace: Workplace, edited: Edited) -> None:
    expected = "expect: {fail: [transfer.rto, balance.rto]}\n"
    done = workplace.run(workplace.drill(edited(SLOW_PERSON) + expected))
    assert done.code == 0, done.both
    result = workplace.result()
    assert (result["outcome"], result["as-expected"]) == ("fail", True)


def test_1_a_missed_objective(workplace: Workplace, edited: Edited) -> None:
    done = workplace.run(workplace.drill(edited(SLOW_PERSON)))
    assert done.code == 1, done.both
    assert "transfer.rto" in done.out


def test_1_expected_to_fail_but_passes(workplace: Workplace, edited: Edited) -> None:
    done = workplace.run(workplace.drill(edited() + "expect: {fail: transfer.rto}\n"))
    assert done.code == 1, done.both
    assert workplace.result()["outcome"] == "pass"


def test_2_wrong_file_and_wrong_command_line(workplace: Workplace, edited: Edited) -> None:
    done = workplace.run(workplace.drill(edited(("on: ledger-db", "on: ledger-bd"))))
    assert done.code == 2, done.both
    assert "drill.yaml:8:" in done.err
    assert "ledger-db" in done.err
    assert "Traceback" not in done.both
    assert workplace.chaoskit("run", workplace.folder / "missing.yaml").code == 2
    assert workplace.chaoskit("run").code == 2
    assert workplace.chaoskit("no-such-command").code == 2
    assert workplace.folders() == []


def test_3_a_vacuous_run_is_unknown(workplace: Workplace, edited: Edited) -> None:
    # The steady state is never reached, so nothing was broken and nothing can be said.
    done = workplace.run(workplace.drill(edited(("p99: 500ms, within: 30s", "p99: 1us, within: 4s"))))
    assert done.code == 3, done.both
    assert workplace.result()["outcome"] == "unknown"


def test_4_aborted_by_its_guard(workplace: Workplace, edited: Edited) -> None:
    text = edited((RESPONSE, "")) + "abort: {if: success < 90%, for: 1s}\n"
    done = workplace.run(workplace.drill(text))
    assert done.code == 4, done.both
    assert workplace.result()["outcome"] == "aborted"


def test_130_interrupted_heals_and_writes_a_report(workplace: Workplace) -> None:
    process = subprocess.Popen(
        workplace.command("run", workplace.drill(), "--reports", workplace.reports),
        cwd=workplace.folder,
        env=workplace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert wait_for_event(workplace, "fault.witnessed")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # a second one does no harm
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130, out
    assert workplace.result()["outcome"] in ("unknown", "aborted")
    assert "Traceback" not in out
    assert not left_running(workplace.folder)


def wait_for_event(workplace: Workplace, kind: str, within_s: float = 180) -> bool:
    """Poll events.jsonl, the only outside sign of how far a run is."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        for folder in workplace.folders():
            events = folder / "events.jsonl"
            if events.exists() and f'"kind":"{kind}"' in events.read_text():
                return True
        time.sleep(0.02)
    return False


def left_running(folder: Path) -> list[str]:
    """Processes that still mention the test's folder in their environment, arguments or working directory."""
    left = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            mention = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            mention += str((entry / "cwd").readlink()).encode()
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z" and str(folder).encode() in mention:
            left.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return left
