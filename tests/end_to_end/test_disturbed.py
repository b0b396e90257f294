"""A measurement that was disturbed is unknown, with its cause named: the real command, really disturbed.

chaoskit run ──► a moment of the run ──► somebody stops, kills, starves, fills ──► exit 3, a verdict, nothing left
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaoskit import judging, pipeline, registry, spec
from chaoskit.clock import suspended_ns
from chaoskit.evidence.chain import verify
from chaoskit.runtimes.process_table import look
from tests.end_to_end.conftest import SHORT, Command, Workplace
from tests.end_to_end.test_exit_codes import left_running, wait_for_event
from tests.end_to_end.test_killed import left_of, records_of

WITHIN_S = 15.0


@dataclass(frozen=True)
class Running:
    """A run in the middle: its conductor, and the main process of every job by name, from the run's own record."""

    workplace: Workplace
    conductor: int
    supervisor: int
    jobs: dict[str, int]

    @classmethod
    def of(cls, workplace: Workplace, conductor: int) -> Running:
        (record,) = records_of(workplace)
        lines = record.with_name("processes.jsonl").read_text().splitlines()
        first: dict[str, int] = {}
        for one in map(json.loads, lines):
            first.setdefault(one["name"], one["pid"])
        return cls(workplace, conductor, json.loads(record.read_text())["supervisor"]["pid"], first)

    def keeper(self, job: str) -> int:
        entry = look(self.jobs[job])
        assert entry is not None
        return entry.parent


Disturb = Callable[[Running], object]


def disturbed(workplace: Workplace, drill: str, at: str, disturb: Disturb) -> Command:
    """Run the command and disturb it at the first event of that kind; assert that it leaves nothing."""
    command = workplace.command("run", workplace.drill(drill), "--reports", workplace.reports)
    with subprocess.Popen(
        command,
        cwd=workplace.folder,
        env=workplace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert wait_for_event(workplace, at)
            scratch = [json.loads(path.read_text())["scratch"] for path in records_of(workplace)]
            disturb(Running.of(workplace, process.pid))
            out, err = process.communicate(timeout=150)
        finally:
            process.kill()
    nothing_left(workplace, scratch)
    assert "Traceback" not in out + err
    return Command(process.returncode, out, err)


def nothing_left(workplace: Workplace, scratch: list[str]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while (left := left_of(workplace, scratch)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []


def unknown(workplace: Workplace, done: Command, cause: str) -> None:
    """Exit 3, the cause in the verdict that was printed and kept, and the same again from what is on disk."""
    assert done.code == 3, done.both
    assert cause in " ".join(done.out.split()), done.both
    result = workplace.result()
    assert (result["outcome"], result["as-expected"]) == ("unknown", False)
    (folder,) = workplace.folders()
    assert verify(folder / "events.jsonl").problems == ()
    assert judging.verify_folder(folder).standing == "consistent"


def stop_for(job: str, seconds: float, times: int = 1) -> Disturb:
    """SIGSTOP, and SIGCONT after so long; several times with a breath in between is a process that is starved."""

    def disturb(running: Running) -> None:
        for _ in range(times):
            os.kill(running.jobs[job], signal.SIGSTOP)
            time.sleep(seconds)  # the disturbance itself
            os.kill(running.jobs[job], signal.SIGCONT)
            time.sleep(0.02)

    return disturb


def kill(pid: Callable[[Running], int]) -> Disturb:
    return lambda running: os.kill(pid(running), signal.SIGKILL)


HELPERS: dict[str, tuple[Callable[[Running], int], str]] = {
    "prober": (lambda run: run.jobs["measurer:prober"], "the prober ended by itself with status -9"),
    "load": (lambda run: run.jobs["measurer:load"], "the load ended by itself with status -9"),
    "proxy": (
        lambda run: run.jobs["proxy:toxiproxy"],
        "the proxy of the links has ended (killed by SIGKILL)",
    ),
    "supervisor": (lambda run: run.supervisor, "the run's supervisor has ended"),
    "keeper of a service": (
        lambda run: run.keeper("gateway"),
        "the keeper of gateway was killed, and gateway with it",
    ),
    "keeper of the prober": (
        lambda run: run.keeper("measurer:prober"),
        "the keeper of measurer:prober was killed",
    ),
    "keeper of the proxy": (
        lambda run: run.keeper("proxy:toxiproxy"),
        "the keeper of proxy:toxiproxy was killed",
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        name if name == "keeper of a service" else pytest.param(name, marks=pytest.mark.slow)
        for name in HELPERS
    ],
)
def test_a_helper_that_was_killed(workplace: Workplace, name: str) -> None:
    whose, cause = HELPERS[name]
    unknown(workplace, disturbed(workplace, SHORT, "fault.witnessed", kill(whose)), cause)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "seconds", "times", "cause"),
    [
        ("measurer:prober", 2.0, 1, "probes were not sent"),
        ("measurer:prober", 0.7, 4, "probes were not sent"),
        ("measurer:load", 2.0, 1, "the load slept through"),
        ("measurer:load", 0.7, 4, "the load slept through"),
        ("proxy:toxiproxy", 0.7, 4, "the proxy of its links was held up for"),
    ],
    ids=["prober stopped", "prober starved", "load stopped", "load starved", "proxy starved"],
)
def test_a_measurer_that_was_held_up(
    workplace: Workplace, job: str, seconds: float, times: int, cause: str
) -> None:
    unknown(workplace, disturbed(workplace, SHORT, "fault.begin", stop_for(job, seconds, times)), cause)


@pytest.mark.slow
def test_a_proxy_that_was_stopped(workplace: Workplace) -> None:
    """To its customers the bank was away until it went on: a recovery time that is too long, unless it is said.

    Not while the links are being taken down: that waits for the proxy for two seconds, and then the run is void.
    """
    done = disturbed(workplace, SHORT, "fault.applied", stop_for("proxy:toxiproxy", 2.0))
    unknown(workplace, done, "the proxy of its links was held up for")
    (folder,) = workplace.folders()
    explained = workplace.chaoskit("explain", folder, "balance.rta")
    assert "cannot be used: the proxy of its links was held up for" in explained.out, explained.both
    told = [one.data for one in verify(folder / "events.jsonl").events if one.kind == "proxy.held-up"]
    assert max(one["hi"] - one["lo"] for one in told if one["hi"]) > 1_900_000_000


@pytest.mark.slow
def test_a_conductor_that_was_held_up(workplace: Workplace) -> None:
    """It would otherwise detect the crash two seconds late, and the system would have taken two seconds longer."""

    def disturb(running: Running) -> None:
        os.kill(running.conductor, signal.SIGSTOP)
        time.sleep(2.0)  # the disturbance itself
        os.kill(running.conductor, signal.SIGCONT)

    done = disturbed(workplace, SHORT, "fault.begin", disturb)
    unknown(workplace, done, "the conductor itself was held up for")


@pytest.mark.slow
def test_a_machine_that_was_suspended(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of suspends is an argument: it is read at both ends of a run, and had grown by seven seconds."""
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", workplace.environment["CHAOSKIT_STATE_DIR"])
    slept = iter((0, 7_000_000_000))
    plan = pipeline.make_plan(spec.load(workplace.drill(), registry), "local")
    run = pipeline.run_plan(plan, reports=workplace.reports, suspended=lambda: suspended_ns() + next(slept))
    assert (run.result.outcome, run.result.exit_code) == ("unknown", 3)
    assert "the machine was suspended for 7.0 s during the run" in run.result.reason
    assert not left_running(workplace.folder)


@pytest.mark.slow
@pytest.mark.parametrize("job", ["measurer:load", "measurer:prober"])
def test_a_journal_that_cannot_grow(workplace: Workplace, job: str) -> None:
    def bound(running: Running) -> None:
        # Less than the journal has by now, and enough for what it says.
        resource.prlimit(running.jobs[job], resource.RLIMIT_FSIZE, (4096, 4096))

    done = disturbed(workplace, SHORT, "fault.witnessed", bound)
    unknown(workplace, done, "cannot record operations: File too large")


@pytest.mark.slow
def test_events_that_cannot_be_recorded_to_the_end(workplace: Workplace) -> None:
    """The conductor can write nothing more at all: it says so, heals, and what it had recorded is judged later."""

    def bound(running: Running) -> None:
        resource.prlimit(running.conductor, resource.RLIMIT_FSIZE, (1, 1))

    done = disturbed(workplace, SHORT, "fault.witnessed", bound)
    assert done.code == 3, done.both
    assert "cannot record events in" in done.err
    assert "File too large" in done.err
    (folder,) = workplace.folders()
    assert verify(folder / "events.jsonl").problems == ()
    assert workplace.chaoskit("judge", folder).code == 3
    assert workplace.result()["outcome"] == "unknown"


@dataclass(frozen=True)
class SmallDisk:
    """A run whose reports lie on a file system of its own, of a few megabytes, in a mount namespace of its own."""

    workplace: Workplace
    process: subprocess.Popen[str]

    @property
    def inside(self) -> Path:
        """The reports as the run sees them."""
        return Path(f"/proc/{self.process.pid}/root{self.workplace.reports}")

    def await_event(self, kind: str) -> None:
        deadline = time.monotonic() + 180  # another measurement on this machine may come first
        while not any(f'"kind":"{kind}"' in one.read_text() for one in self.inside.glob("*/events.jsonl")):
            assert time.monotonic() < deadline
            assert self.process.poll() is None
            time.sleep(0.02)

    def fill(self) -> None:
        """Until not one byte more fits."""
        with (self.inside / "somebody-elses").open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    continue


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=8m tmpfs "$1" || exit 99
[ -z "$2" ] || head -c 9m /dev/zero > "$1/somebody-elses"
kept=$3; from=$1; shift 3
"$@"; code=$?
rm -f "$from/somebody-elses"
cp -a "$from"/. "$kept"
exit $code
"""


@pytest.fixture
def small_disk(workplace: Workplace) -> Iterator[Callable[..., SmallDisk]]:
    """Starts the command on a small disk, full from the beginning or not; what it leaves there goes to `kept`."""
    started: list[SmallDisk] = []
    kept = workplace.folder / "kept"

    def start(full: str = "") -> SmallDisk:
        mounted = workplace.reports
        for folder in (mounted, kept):
            folder.mkdir()
        # Root may mount; anybody else may in a user namespace in which he keeps his name and gets the right.
        own = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
        command = workplace.command("run", workplace.drill(), "--reports", mounted)
        shell = ["sh", "-c", ON_A_SMALL_DISK, "sh", str(mounted), full, str(kept), *command]
        process = subprocess.Popen(
            ["unshare", "--mount", *own, *shell],
            cwd=workplace.folder,
            env=workplace.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(SmallDisk(workplace, process))
        return started[0]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def ended(disk: SmallDisk, scratch: list[str]) -> Command:
    out, err = disk.process.communicate(timeout=150)
    nothing_left(disk.workplace, scratch)
    assert "Traceback" not in out + err
    disk.workplace.reports = disk.workplace.folder / "kept"
    return Command(disk.process.returncode, out, err)


def test_a_disk_that_fills_up_under_the_run_folder(
    workplace: Workplace, small_disk: Callable[..., SmallDisk]
) -> None:
    disk = small_disk()
    disk.await_event("fault.witnessed")
    scratch = [json.loads(path.read_text())["scratch"] for path in records_of(workplace)]
    disk.fill()
    done = ended(disk, scratch)
    unknown(workplace, done, "No space left on device")
    (folder,) = workplace.folders()
    end = [event for event in verify(folder / "events.jsonl").events if event.kind == "run.end"]
    assert [event.data["ended"] for event in end] == ["broken"]
    assert (folder / "leases.json").exists()


def test_a_disk_that_is_full_from_the_beginning(
    workplace: Workplace, small_disk: Callable[..., SmallDisk]
) -> None:
    done = ended(small_disk("full"), [])
    assert done.code == 3, done.both
    assert (
        "a run cannot be recorded there: No space left on device; choose another place with --reports"
        in done.err
    )
    assert workplace.folders() == []
