"""When a service counts as dead: from the look that shows that none of it can run, if all is gone in the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from chaoskit.engines import tree
from chaoskit.model.lease import ProcessRef, ProcessState
from chaoskit.model.member import Witness
from chaoskit.runtimes import process_table, signals

PARENT, CHILD, LATE = (ProcessRef(pid=2**22 + number, start=number) for number in (1, 2, 3))


class Told:
    """Processes whose states are told look by look; the last one stays. `trees` likewise."""

    def __init__(
        self, states: dict[ProcessRef, list[ProcessState]], trees: Sequence[Sequence[ProcessRef]]
    ) -> None:
        self.states = states
        self.trees = [tuple(one) for one in trees]
        self.shown: list[tuple[ProcessRef, ProcessState, int]] = []

    def state(self, process: ProcessRef) -> ProcessState:
        left = self.states[process]
        state = left.pop(0) if len(left) > 1 else left[0]
        self.shown.append((process, state, tree.monotonic_ns()))
        return state

    async def tree(self, _service: str) -> tuple[ProcessRef, ...]:
        return self.trees.pop(0) if len(self.trees) > 1 else self.trees[0]

    def first(self, process: ProcessRef, state: ProcessState) -> int:
        return next(at for one, seen, at in self.shown if (one, seen) == (process, state))


def witnessed(told: Any, before: Sequence[ProcessRef], within_s: float = 20.0) -> Witness:
    return asyncio.run(tree.witness_death(told, "db", before, within_s))


def test_it_is_dead_when_the_last_process_cannot_run_any_more_not_when_its_memory_is_free() -> None:
    told = Told(
        {
            PARENT: ["running", "dying", "dying", "dying", "gone"],
            CHILD: ["stopped", "running", "dying", "gone"],
        },
        [()],
    )
    seen = witnessed(told, [PARENT, CHILD])
    assert seen.seen
    assert seen.seen_ns is not None
    assert told.first(CHILD, "dying") <= seen.seen_ns < told.first(PARENT, "gone")


def test_a_look_ends_at_the_first_that_decides_it_and_asks_that_one_first_the_next_time() -> None:
    """Twenty processes are twenty times two files of the kernel's, on a machine that has better things to do."""
    told = Told({PARENT: ["dying"], CHILD: ["running", "running", "gone"], LATE: ["gone"]}, [()])
    fate = asyncio.run(tree.until(told, [PARENT, CHILD, LATE], frozenset({"dying", "gone"}), 20.0))  # type: ignore[arg-type]
    assert [one for one, _, _ in told.shown] == [PARENT, CHILD, CHILD, CHILD, PARENT, LATE]
    assert fate is not None
    assert (fate.dying, fate.gone) == (1, 2)


def test_one_that_is_dying_for_ever_is_not_dead() -> None:
    seen = witnessed(Told({PARENT: ["dying"], CHILD: ["gone"]}, [()]), [PARENT, CHILD], 0.05)
    assert not seen.seen
    assert seen.how == "of db's 2 processes: 1 dying, 1 gone"


def test_one_that_was_stopped_and_not_killed_is_not_dead() -> None:
    seen = witnessed(Told({PARENT: ["stopped"], CHILD: ["gone"]}, [()]), [PARENT, CHILD], 0.05)
    assert not seen.seen
    assert seen.how == "of db's 2 processes: 1 stopped, 1 gone"


def test_what_was_forked_meanwhile_must_be_dying_as_well_and_the_moment_is_its_own() -> None:
    told = Told({PARENT: ["dying", "gone"], LATE: ["running", "running", "dying", "gone"]}, [[LATE], ()])
    seen = witnessed(told, [PARENT])
    assert seen.seen
    assert seen.seen_ns is not None
    assert told.first(LATE, "dying") <= seen.seen_ns
    assert seen.how == "the kernel has none of db's 2 processes left"


def test_a_child_that_stood_under_nobody_while_its_parent_died_is_found_afterwards() -> None:
    told = Told({PARENT: ["dying", "gone"], LATE: ["running", "dying", "gone"]}, [(), [LATE], ()])
    seen = witnessed(told, [PARENT])
    assert seen.seen
    assert seen.seen_ns is not None
    assert told.first(LATE, "dying") <= seen.seen_ns


def test_what_was_forked_meanwhile_and_lives_on_is_named() -> None:
    seen = witnessed(Told({PARENT: ["gone"], LATE: ["running"]}, [[LATE]]), [PARENT], 0.05)
    assert not seen.seen
    assert seen.how == "db had forked meanwhile: 1 running"


HOLD = (
    "import subprocess, sys; print(*(subprocess.Popen(['sleep', '60']).pid for _ in range({})), flush=True); "
)
WAIT = "sys.stdin.read()"


@contextlib.contextmanager
def held(children: int) -> Iterator[tuple[subprocess.Popen[str], list[ProcessRef]]]:
    """A process, as a keeper or a container's shim is one, and the service's processes below it."""
    program = [sys.executable, "-S", "-c", HOLD.format(children) + WAIT]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        found = [process_table.look(int(pid)) for pid in holder.stdout.readline().split()]
        try:
            yield holder, [ProcessRef(pid=one.pid, start=one.start) for one in found if one is not None]
        finally:
            for one in found:
                if one is not None:
                    signals.send(one.pid, one.start, signal.SIGKILL)
            holder.kill()


class Kernel:
    """What the kernel says of real processes; what a service's tree is, is told."""

    def __init__(self, tree_now: Sequence[ProcessRef]) -> None:
        self.now = tuple(tree_now)

    def state(self, process: ProcessRef) -> ProcessState:
        return process_table.state(process.pid, process.start)

    async def tree(self, _service: str) -> tuple[ProcessRef, ...]:
        return self.now


def within_one_tick(monkeypatch: pytest.MonkeyPatch, old: ProcessRef) -> None:
    """From here on whatever is looked at was there at the tick of the look, as in the ten ms of a real one."""
    while tree.ticks_now() <= old.start:
        time.sleep(0.002)
    monkeypatch.setattr(tree, "ticks_now", lambda: 2**62)


def test_a_service_that_was_started_again_in_the_tick_of_its_end_has_not_forked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with held(1) as (_, [old]):
        within_one_tick(monkeypatch, old)
        signals.send(old.pid, old.start, signal.SIGKILL)
        with held(2) as (_, new):
            seen = witnessed(Kernel(new), [old])
            assert seen.seen, seen.how
            assert seen.how == "the kernel has none of db's 1 processes left"
            assert tree.begun_anew(new, [old]) == tuple(new)


def test_what_the_old_service_had_forked_is_its_own_however_late(monkeypatch: pytest.MonkeyPatch) -> None:
    with held(2) as (_, [old, forked]):
        within_one_tick(monkeypatch, old)
        signals.send(old.pid, old.start, signal.SIGKILL)
        seen = witnessed(Kernel([forked]), [old], 0.05)
        assert not seen.seen
        assert seen.how == "db had forked meanwhile: 1 running"
        assert tree.begun_anew([forked], [old]) == ()


def test_the_kernel_tells_which_signals_wait_and_a_killed_process_never_runs_again() -> None:
    block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}); "
    wait = block + "print(1, flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-S", "-c", wait], stdout=subprocess.PIPE) as sleeper:
        try:
            assert sleeper.stdout is not None
            sleeper.stdout.readline()
            entry = process_table.look(sleeper.pid)
            assert entry is not None
            assert process_table.pending(sleeper.pid) == set()
            sleeper.send_signal(signal.SIGUSR1)
            assert process_table.pending(sleeper.pid) == {signal.SIGUSR1}
            assert process_table.state(sleeper.pid, entry.start) == "running"
            sleeper.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED)
            assert process_table.state(sleeper.pid, entry.start) == "stopped"
            sleeper.kill()
            states = []
            while not states or states[-1] != "gone":  # at once, or after the kernel's work on its end
                states.append(process_table.state(sleeper.pid, entry.start))
            assert set(states) <= {"dying", "gone"}
        finally:
            sleeper.kill()
