"""SIGKILL of the conductor at any instant leaves nothing within two seconds, and heal stands in for the supervisor."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chaoskit.runtimes import record as records
from chaoskit.runtimes.heal import heal
from chaoskit.runtimes.kernel import segments
from chaoskit.runtimes.local.pg_install import cache_folder
from chaoskit.runtimes.process_table import alive, environment, look, table
from chaoskit.runtimes.record import Identity, RunRecord
from chaoskit.runtimes.residue import RUN_MARK, creators, residue
from chaoskit.runtimes.signals import send
from chaoskit.runtimes.supervision import own_environment
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import new_run

WITHIN_S = 2.0
"""What is promised, and measured in the slow tier, on a machine of its own."""
PATIENCE_S = 15.0
"""What is left after this has leaked; how fast it goes beside other tests says nothing."""
PROVISIONING_S = 0.8  # about what it takes on an idle machine
BREAKING_S = 0.5  # more than one circle of freeze, undo, kill, start


class Victims:
    """Conductors on order."""

    def __init__(self, process: subprocess.Popen[str], plan: Path, folder: Path, state: Path) -> None:
        self.process = process
        self.plan = plan
        self.folder = folder
        self.state = state

    def kill_one(self, after_s: float, of: str = "start") -> str:
        """Start a conductor and SIGKILL it `after_s` seconds later (or after it is ready); returns its run."""
        run = new_run()
        order = {
            "run": run,
            "plan": str(self.plan),
            "folder": str(self.folder / run),
            "after_s": after_s,
            "of": of,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert answer["pid"] > 0, "the conductor ended before it was killed; its reason is on stderr"
        return run

    def record(self, run: str) -> RunRecord | None:
        """What is on disk of a run now."""
        return records.read_record(self.state / "runs" / run)


@pytest.fixture
def victims(tmp_path: Path, state: Path) -> Iterator[Victims]:
    plan = tmp_path / "plan.json"
    plan.write_text(tiny.plan(tiny.shop(tmp_path / "system")).model_dump_json())
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.runtimes.local.victim"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=own_environment(),
        cwd=tiny.HERE.parents[2],
    )
    with process:
        yield Victims(process, plan, tmp_path / "reports", state)
        assert process.stdin is not None
        process.stdin.close()


def traces(run: str, record: RunRecord | None, known: tuple[Identity, ...], state: Path) -> list[str]:
    """Everything of the run that is still there, also when it had no record yet when its conductor died."""
    left = [] if record is None else residue(record, known)
    for pid in table():
        command = b""
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        marked = record is not None and environment(pid).get(RUN_MARK) == record.scratch
        if pid != os.getpid() and (run.encode() in command or marked):
            left.append(f"process {pid}: {command!r}")
    if (state / "runs" / run).exists():
        left.append("state")
    return left


def until_gone(look_for: Callable[[], list[str]], within_s: float = PATIENCE_S) -> None:
    """Wait for it; the assertion shows what is left."""
    end = time.monotonic() + within_s
    while (left := look_for()) and time.monotonic() < end:
        time.sleep(0.01)
    assert left == []


def prove_gone(victims: Victims, run: str, within_s: float = PATIENCE_S) -> None:
    record = victims.record(run)
    known = records.processes(record) if record else ()
    until_gone(lambda: traces(run, record, known, victims.state), within_s)


@pytest.mark.parametrize("share", range(3))
def test_sigkill_of_the_conductor_leaves_nothing(victims: Victims, share: int) -> None:
    """30 seeded instants, ten a share: before the first process, while provisioning, while breaking and undoing."""
    chance = random.Random(f"conductor-{share}")
    before = {segment.id for segment in segments()}
    for _ in range(5):
        prove_gone(victims, victims.kill_one(chance.uniform(0, PROVISIONING_S)))
        prove_gone(victims, victims.kill_one(chance.uniform(0, BREAKING_S), of="ready"))
    fresh = [s for s in segments() if s.id not in before and look(s.creator) is None and s.attached == 0]
    # Others on this machine may leave segments too; ours would be named by a postmaster that a log shows.
    logs = "".join(path.read_text() for path in victims.folder.glob("*/logs/db*.log"))
    assert not [s for s in fresh if f"[{s.creator}]" in logs]
    assert list(cache_folder().glob(".new-*")) == [] or os.environ.get("PYTEST_XDIST_WORKER")


@pytest.mark.slow
@pytest.mark.parametrize("share", range(20))
def test_sigkill_of_the_conductor_at_200_instants(victims: Victims, share: int) -> None:
    chance = random.Random(f"conductor-slow-{share}")
    for _ in range(5):
        prove_gone(victims, victims.kill_one(chance.uniform(0, 2 * PROVISIONING_S)), WITHIN_S)
        prove_gone(victims, victims.kill_one(chance.uniform(0, 4 * BREAKING_S), of="ready"), WITHIN_S)


def test_the_run_folder_and_the_leases_survive(victims: Victims) -> None:
    for _ in range(5):
        run = victims.kill_one(0.3, of="ready")
        prove_gone(victims, run)
        folder = victims.folder / run
        assert (folder / "logs" / "db.log").stat().st_size > 0
        if (folder / "leases.json").exists():
            leases = json.loads((folder / "leases.json").read_text())
            assert leases
            assert {lease["state"] for lease in leases} == {"undone"}
            break
    else:
        pytest.fail("no conductor got as far as a lease")


@pytest.mark.parametrize("share", range(3))
def test_heal_after_the_supervisor_was_killed_as_well(victims: Victims, share: int) -> None:
    chance = random.Random(f"supervisor-{share}")
    healed = 0
    for _ in range(4):
        of, longest_s = chance.choice((("start", PROVISIONING_S), ("ready", BREAKING_S)))
        run = victims.kill_one(chance.uniform(0, longest_s), of)
        record = victims.record(run)
        if record is None or not send(record.supervisor.pid, record.supervisor.start, signal.SIGKILL):
            prove_gone(victims, run)  # it had nothing yet, or was done already
            continue
        known = records.processes(record)
        postmasters = creators(Path(record.scratch))
        until_gone(lambda who=record.supervisor: ["supervisor"] if alive(who.pid, who.start) else [])  # type: ignore[misc]
        lines = heal(victims.state)
        # What the supervisor had forked and not yet turned into a keeper ends by itself when it sees that it is alone.
        until_gone(lambda run=run, record=record, known=known: traces(run, record, known, victims.state))  # type: ignore[misc]
        assert not [segment for segment in segments() if segment.creator in postmasters]
        healed += len(lines)
        assert heal(victims.state) == []
    assert healed


def test_heal_leaves_the_living_alone(state: Path) -> None:
    here = records.this_process()
    dead = Identity(here.pid, here.start + 1)  # the same pid in another life
    task = {
        "run": "mine",
        "folder": str(state),
        "state": str(state / "runs" / "mine"),
        "cache": str(state),
        "temporary": str(state),
        "conductor": {"pid": here.pid, "start": here.start},
    }
    record = RunRecord.new(task, block="127.1.2", supervisor=dead)
    bystander = subprocess.Popen(
        [sys.executable, "-S", "-c", "import time; time.sleep(60)"],
        env={RUN_MARK: record.scratch, "PATH": os.environ["PATH"]},
    )
    entry = look(bystander.pid)
    assert entry is not None
    try:
        records.write_record(record)
        assert heal(state) == []
        assert alive(entry.pid, entry.start)
        task["conductor"] = {"pid": dead.pid, "start": dead.start}
        # Another run's remains: not even one of the same name, in another state directory, is this run.
        other = RunRecord.new({**task, "run": "other"}, block="127.1.2", supervisor=dead)
        records.write_record(other)
        records.add_process(other, "shop", entry.pid, entry.start + 7)  # its pid, and not it
        assert heal(state) == ["other: ended and removed what it had left"]
        assert alive(entry.pid, entry.start)
        records.write_record(RunRecord.new(task, block="127.1.2", supervisor=dead))
        assert heal(state) == ["mine: ended and removed what it had left"]
        assert alive(entry.pid, entry.start)  # the same name, and another scratch folder
        records.write_record(replace(record, conductor=dead))
        assert heal(state) == ["mine: ended and removed what it had left"]
        assert bystander.wait(5) == -signal.SIGKILL
    finally:
        bystander.kill()
        bystander.wait()
