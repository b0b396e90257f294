"""SIGKILL of docker conductors at seeded instants of their whole life: is everything gone within five seconds?

    victims (some side by side) ──fork──► conductor: provision ► break ► restart ► close
        │ SIGKILL at a drawn instant                       │
    trial: looks for containers, networks, volumes, processes, folders, records, until there are none

A first life that nobody cuts short is timed; the instants are spread over a little more than it. The table shows how
far the conductors had got, and how long it took until nothing was left.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tabulate import tabulate

from chaoskit import pipeline, registry, spec
from chaoskit.runtimes.docker.engine_socket import EngineSilent, EngineSocket, engine_url
from chaoskit.runtimes.docker.ownership import RUN
from chaoskit.runtimes.docker.removal import labelled
from chaoskit.runtimes.process_table import look
from chaoskit.runtimes.signals import send
from chaoskit.runtimes.supervision import own_environment

SMALL = Path(__file__).parent / "small"
ROOT = Path(__file__).parents[3]
GONE_WITHIN_S = 5.0
GIVEN_UP_S = 30.0
BEYOND = 1.1
"""How far over the length of an undisturbed life the instants are spread."""


@dataclass(frozen=True)
class Trial:
    """One killed conductor: when, how far it was, and seconds until nothing was left (`left` if something was)."""

    run: str
    after_s: float
    reached: str
    gone_s: float
    left: tuple[str, ...] = ()


class Ground:
    """Where trials happen: a state directory, report folders, a temporary folder for each run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.reports = folder / "reports"
        self.plan = folder / "plan.json"
        loaded = spec.load(SMALL / "drill.yaml", registry)
        self.plan.write_text(pipeline.make_plan(loaded, "docker").model_dump_json())

    @property
    def environment(self) -> dict[str, str]:
        return {**own_environment(), "CHAOSKIT_STATE_DIR": str(self.state)}

    def temporary(self, run: str) -> Path:
        return self.folder / "tmp" / run

    def left(self, run: str) -> list[str]:
        """Everything of the run that is still there, on the engine and on this machine."""
        try:
            found = [str(each) for each in labelled(EngineSocket(engine_url()), [f"{RUN}={run}"])]
        except EngineSilent as error:  # then nobody knows
            found = [str(error)]
        found += processes_of(run, self.temporary(run))
        with contextlib.suppress(FileNotFoundError):
            found += [f"file {path}" for path in self.temporary(run).iterdir()]
        places = (self.state / "runs" / run, self.state / "docker" / f"{run}.json")
        return found + [f"state {path}" for path in places if path.exists()]


def processes_of(run: str, temporary: Path) -> list[str]:
    """Those that name the run in their arguments, or its temporary folder in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            if run.encode() in command or str(temporary).encode() in (entry / "environ").read_bytes():
                seen = look(int(entry.name))
                if seen is not None and not seen.ended:
                    words = command.replace(b"\0", b" ").decode(errors="replace")
                    found.append(f"process {entry.name}: {words[:160]}")
    return found


class Victims:
    """A process that forks conductors on order."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.runtimes.docker.victim", str(ground.plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ground.environment,
            cwd=ROOT,
        )

    def order(self, run: str, after_s: float | None) -> tuple[str, float]:
        """Start a conductor, kill it after so long; returns how far it was, and its age at its end."""
        ground = self.ground
        ground.temporary(run).mkdir(parents=True)
        order = {
            "run": run,
            "folder": str(ground.reports / run),
            "temporary": str(ground.temporary(run)),
            "after_s": after_s,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return str(answer["reached"]), float(answer["s"])

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@contextlib.contextmanager
def victims(ground: Ground, number: int) -> Iterator[SimpleQueue[Victims]]:
    """`number` of them, to be taken and put back."""
    all_of_them = [Victims(ground) for _ in range(number)]
    free: SimpleQueue[Victims] = SimpleQueue()
    for each in all_of_them:
        free.put(each)
    try:
        yield free
    finally:
        for each in all_of_them:
            each.close()


_numbers = iter(range(10**9))
_numbering = threading.Lock()


def new_run() -> str:
    """A run's name that no other trial on this machine has."""
    with _numbering:
        return f"killed-{os.getpid()}-{next(_numbers)}"


def until_gone(ground: Ground, run: str, since: float) -> tuple[float, tuple[str, ...]]:
    """Seconds from `since` (CLOCK_MONOTONIC) until nothing of the run was left; what is, after a long time.

    Nothing twice: a child that was forked just before the kill names its run only after its exec.
    """
    empty: float | None = None
    while True:
        left, now = ground.left(run), time.monotonic()
        if left:
            empty = None
            if now - since > GIVEN_UP_S:
                return now - since, tuple(left)
        elif empty is None:
            empty = now
        elif now - empty > 0.2:
            return empty - since, ()
        time.sleep(0.05)


def undisturbed_s(ground: Ground, free: SimpleQueue[Victims]) -> float:
    """How long a life takes here and now, with as many at once as there will be."""

    def live() -> float:
        one = free.get()
        try:
            return one.order(new_run(), None)[1]
        finally:
            free.put(one)

    beside = free.qsize()
    with ThreadPoolExecutor(beside) as pool:
        return statistics.mean(pool.map(lambda _: live(), range(beside)))  # one that fails says why on stderr


def run_trials(ground: Ground, instants: int, beside: int, seed: str) -> list[Trial]:
    """Kill `instants` conductors, `beside` at a time, at instants drawn from `seed` over their whole life."""
    chance = random.Random(seed)
    with victims(ground, beside) as free:
        life_s = undisturbed_s(ground, free)

        def one(share: float) -> Trial:
            victim, run = free.get(), new_run()
            try:
                reached, _ = victim.order(run, share * life_s)
                killed = time.monotonic()
            finally:
                free.put(victim)
            gone_s, left = until_gone(ground, run, killed)
            shutil.rmtree(ground.temporary(run), ignore_errors=True)
            return Trial(run, share * life_s, reached, gone_s, left)

        # One in each equal part of a life: 50 instants are then 50 different places.
        shares = [(part + chance.random()) / instants * BEYOND for part in range(instants)]
        chance.shuffle(shares)
        # One more than conductors: the next one starts while the last one's janitor still watches for stragglers.
        with ThreadPoolExecutor(beside + 1) as pool:
            return list(pool.map(one, shares))


def kill_with_keepers(ground: Ground, victim: Victims, after_s: float) -> tuple[str, list[str]]:
    """SIGKILL of a conductor, its janitor and its supervisor; returns the run, and what was left.

    The keepers are stopped just before, as soon as they are seen, so that they cannot begin to clean up.
    """
    run, done = new_run(), threading.Event()

    def hunt() -> None:
        done.wait(max(0.0, after_s - 0.3))
        while not done.wait(0.01):
            for keeper in keepers_of(run):
                send(*keeper, signal.SIGSTOP)

    with ThreadPoolExecutor(1) as pool:
        hunting = pool.submit(hunt)
        try:
            victim.order(run, after_s)
        finally:
            done.set()
        hunting.result()
    end = time.monotonic() + GONE_WITHIN_S
    while (keepers := keepers_of(run)) and time.monotonic() < end:
        for keeper in keepers:
            send(*keeper, signal.SIGKILL)
        time.sleep(0.01)
    return run, ground.left(run)


def keepers_of(run: str) -> list[tuple[int, int]]:
    """Janitor and supervisor of a run, by pid and start time."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
            if run.encode() in command and (b"janitor_process" in command or b".supervisor" in command):
                seen = look(int(entry.name))
                if seen is not None and not seen.ended:
                    found.append((seen.pid, seen.start))
    return found


def table(trials: Sequence[Trial]) -> str:
    """How far they were, and how long it took."""
    rows = []
    for reached in ("failed", "forked", "begun", "ready", "broken", "closing", "closed"):
        some = [trial for trial in trials if trial.reached == reached]
        if some:
            took = [trial.gone_s for trial in some]
            left = sum(bool(trial.left) for trial in some)
            rows.append((reached, len(some), statistics.median(took), max(took), left))
    return tabulate(
        rows, ("had got as far as", "killed", "gone after s (median)", "(longest)", "left"), floatfmt=".2f"
    )


def main() -> int:
    """Exit 1 if anything was left after five seconds, even once."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--instants", type=int, default=50)
    parser.add_argument("--beside", type=int, default=2, help="conductors at once")
    parser.add_argument("--seed", default="kill")
    chosen = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaoskit-kills-") as folder:
        trials = run_trials(Ground(Path(folder)), chosen.instants, chosen.beside, chosen.seed)
    print(table(trials))
    late = [trial for trial in trials if trial.left or trial.gone_s > GONE_WITHIN_S]
    for trial in late:
        what = "; ".join(trial.left) or "gone late"
        print(f"killed after {trial.after_s:.2f} s ({trial.reached}): {trial.gone_s:.2f} s: {what}")
    print(
        f"{len(trials)} kills, {len(late)} not clean after {GONE_WITHIN_S:g} s, in {time.monotonic() - begin:.0f} s"
    )
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
