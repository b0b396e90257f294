"""What a run has left on this machine and its engine, whichever runtime it had; and the death of all who clean up."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from chaoskit.runtimes import record as records
from chaoskit.runtimes.docker.engine_socket import EngineSilent, EngineSocket, engine_url
from chaoskit.runtimes.docker.ownership import RUN
from chaoskit.runtimes.docker.removal import labelled
from chaoskit.runtimes.record import Identity, RunRecord
from chaoskit.runtimes.residue import residue
from chaoskit.runtimes.signals import send
from tests.runtimes.docker.kill_trials import keepers_of, processes_of

GONE_WITHIN_S = 30.0
"""What is left then has leaked; how fast it goes is measured elsewhere."""


@dataclass(frozen=True)
class Left:
    """In words; `known` is what the run's own record said of its processes, and is asked for when it is gone."""

    words: list[str]
    known: tuple[RunRecord, tuple[Identity, ...]] | None


def what_is_left(
    run: str,
    folder: Path,
    environment: Mapping[str, str],
    known: tuple[RunRecord, tuple[Identity, ...]] | None = None,
) -> Left:
    """Processes of every kind, what they listen on, shared memory, containers, networks, volumes, disks, folders."""
    state = Path(environment["CHAOSKIT_STATE_DIR"])
    record = records.read_record(state / "runs" / run)
    if record is not None:
        known = record, records.processes(record)
    words = processes_of(run, folder / "tmp")
    words += residue(*known) if known is not None else []
    with contextlib.suppress(FileNotFoundError, EngineSilent):  # nobody needs an engine for `local`
        words += [str(one) for one in labelled(EngineSocket(engine_url()), [f"{RUN}={run}"])]
    words += [f"file {path}" for path in (folder / "tmp").iterdir()]
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # it goes while it is looked at
            if run in backing.read_text():
                words.append(f"disk {backing.parts[3]}")
    words += [
        f"state {one}" for one in (state / "runs" / run, state / "docker" / f"{run}.json") if one.exists()
    ]
    return Left(words, known)


def until_nothing(
    run: str,
    folder: Path,
    environment: Mapping[str, str],
    known: tuple[RunRecord, tuple[Identity, ...]] | None,
    within_s: float = GONE_WITHIN_S,
) -> list[str]:
    """Empty as soon as nothing is left; what is, after that time."""
    deadline = time.monotonic() + within_s
    while (left := what_is_left(run, folder, environment, known).words) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@contextlib.contextmanager
def keepers_killed(run: str) -> Iterator[None]:
    """Supervisor, keepers and janitor are stopped before the block, and killed after it: they cannot begin."""
    done = threading.Event()

    def hunt() -> None:
        while not done.wait(0.005):  # a janitor that is killed is replaced while its conductor lives
            for one in keepers_of(run):
                send(*one, signal.SIGSTOP)

    for one in keepers_of(run):
        send(*one, signal.SIGSTOP)
    hunting = threading.Thread(target=hunt)
    hunting.start()
    try:
        yield
    finally:
        done.set()
        hunting.join()
        while found := keepers_of(run):
            for one in found:
                send(*one, signal.SIGKILL)
