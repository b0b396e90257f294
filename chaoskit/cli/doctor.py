"""`chaoskit doctor`: whether this machine can run a drill, and what earlier runs have left on it."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chaoskit.errors import EnvironmentBroken, InputError
from chaoskit.machine import cpu_quota
from chaoskit.processor import MEASURER, borrowed_processor, scheduling
from chaoskit.run_folder import state_directory
from chaoskit.runtimes.finding import Finding

_BYTES_MIN = 500 * 10**6
_SHARED_BYTES_MIN = 64 * 10**6
_PYTHON_MIN = (3, 11)
_PYTEST_MIN, _PYTEST_BELOW = (8, 4), (10,)


def examine(runtime: str = "local") -> int:
    """Print a line for each thing looked at; 3 if a drill could not run on `runtime`, else 0.

    What the other runtime lacks is a note. Raises InputError for a runtime that there is not.
    """
    if runtime not in ("local", "docker"):
        raise InputError(f"--runtime {runtime}: no such runtime; known: local, docker")
    findings = []
    for look in (_system, _python, _real_time, _pidfd, _proc, _state, _scratch, _shared_memory, _slot):
        findings += _looked(look)
    for name, looks in (("local", (_addresses, _postgresql)), ("docker", (_docker,))):
        for look in looks:
            findings += _looked(look) if name == runtime else _aside(name, _looked(look))
    findings += _looked(_leftovers) + _looked(_pytest)
    for finding in findings:
        print(finding)
    problems = sum(finding.state == "problem" for finding in findings)
    where = "" if runtime == "local" else f" on {runtime}"
    if problems:
        print(f"a drill could not run here{where}: {problems} problem{'s' if problems > 1 else ''}")
        return 3
    print(f"a drill can run here{where}")
    return 0


def _aside(name: str, findings: list[Finding]) -> list[Finding]:
    """A runtime that was not asked for: what it lacks stops nothing."""
    return [
        found._replace(state="note", what=f"--runtime {name}: {found.what}")
        if found.state == "problem"
        else found
        for found in findings
    ]


def _docker() -> Iterator[Finding]:
    from chaoskit.runtimes.docker.engine import engine_url
    from chaoskit.runtimes.docker.preflight import findings, leftovers

    reached = True
    for found in findings(engine_url(), None, Path("reports")):
        reached = reached and found.state != "problem"
        yield found
    if reached:
        yield from leftovers(engine_url())


def _looked(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """The findings; an error while looking is a finding of its own, with what it says to do."""
    found = []
    try:
        for finding in look():
            found.append(finding)
    except EnvironmentBroken as error:
        what, _, remedy = str(error).partition("; ")
        found.append(Finding("problem", what, remedy))
    except OSError as error:
        found.append(Finding("problem", f"{look.__name__.strip('_').replace('_', ' ')}: {error}"))
    return found


def _system() -> Iterator[Finding]:
    if not sys.platform.startswith("linux"):
        yield Finding(
            "problem", f"system: {platform.system()}", "the local runtime needs Linux: a virtual machine"
        )
        return
    cpus = len(os.sched_getaffinity(0))
    quota = cpu_quota()
    told = "" if quota is None else f", {quota:g} of their time by its control group"
    yield Finding("ok", f"system: Linux {platform.release()}, {cpus} CPU{'s' if cpus > 1 else ''}{told}")
    if min(cpus, quota or cpus) < 2:
        less = "one CPU" if quota is None else f"the time of {min(cpus, quota):g} CPUs"
        yield Finding(
            "note", f"{less}: load and services share it, so the load may be sent late", "give it two"
        )


def _python() -> Iterator[Finding]:
    text = f"Python {platform.python_version()} in {sys.prefix}"
    if sys.version_info < _PYTHON_MIN:
        yield Finding("problem", text, "install Python 3.11 or newer")
    else:
        yield Finding("ok", text)


def _real_time() -> Iterator[Finding]:
    with borrowed_processor(MEASURER):
        had = scheduling()
    if had.startswith("SCHED_FIFO"):
        yield Finding("ok", "real time: who measures goes before all other work on this machine")
    else:
        yield Finding(
            "note",
            f"no real time ({had}): on a busy machine whoever measures is late, and runs become unknown",
            f"allow it (systemd: LimitRTPRIO={MEASURER}; a shell: ulimit -r {MEASURER}), or run on a quiet machine",
        )


def _pidfd() -> Iterator[Finding]:
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        raise EnvironmentBroken(
            "pidfd: this Python was built without it; use one built on Linux 5.4 or newer"
        )
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        raise EnvironmentBroken(
            f"pidfd: the kernel refuses ({error.strerror}); Linux 5.4 or newer, and in a container a seccomp profile "
            "that allows pidfd_open, are needed"
        ) from error
    yield Finding("ok", "pidfd: processes can be watched without guessing by number")


def _proc() -> Iterator[Finding]:
    if not Path("/proc/self/stat").exists():
        raise EnvironmentBroken("/proc is not mounted; mount -t proc proc /proc")
    yield Finding("ok", "/proc shows processes")


def _state() -> Iterator[Finding]:
    state = state_directory()
    try:
        (state / "runs").mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=state) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise EnvironmentBroken(
            f"state directory {state}: {error.strerror}; make it writable, or set CHAOSKIT_STATE_DIR to another folder"
        ) from error
    yield Finding("ok", f"state directory {state} can be written")


def _scratch() -> Iterator[Finding]:
    from chaoskit.runtimes.local.preflight import temporary_folder

    folder = temporary_folder()
    free = shutil.disk_usage(folder).free
    text = f"scratch folder {folder}: {free / 1e9:.1f} GB free"
    if free < _BYTES_MIN:
        yield Finding(
            "problem", text, f"free {_BYTES_MIN / 1e6:.0f} MB, or set TMPDIR to a folder on another disk"
        )
    else:
        yield Finding("ok", text)


def _shared_memory() -> Iterator[Finding]:
    shared = Path("/dev/shm")
    if not shared.is_dir():
        yield Finding("note", "/dev/shm is missing", "mount it for services that use POSIX shared memory")
        return
    free = shutil.disk_usage(shared).free
    text = f"/dev/shm: {free / 1e6:.0f} MB free"
    if not os.access(shared, os.W_OK):
        yield Finding("note", f"{text}, not writable", "chmod 1777 /dev/shm")
    elif free < _SHARED_BYTES_MIN:
        yield Finding(
            "note", text, f"services that use shared memory may need more than {text.split(': ')[1]}"
        )
    else:
        yield Finding("ok", text)


def _addresses() -> Iterator[Finding]:
    from chaoskit.runtimes.addresses import lease_block

    block = lease_block(f"doctor-{os.getpid()}")
    os.close(block.fd)
    yield Finding("ok", f"addresses: a free block ({block.prefix}.0/24) and its lock file")


def _slot() -> Iterator[Finding]:
    from chaoskit.runtimes.addresses import lock_folder, open_shared

    os.close(open_shared(lock_folder() / "chaoskit-slot.lock"))
    yield Finding("ok", f"measurement slot: its lock file in {lock_folder()} can be used")


def _postgresql() -> Iterator[Finding]:
    from chaoskit.runtimes.local.pg_preflight import findings

    yield from findings()


def _leftovers() -> Iterator[Finding]:
    from chaoskit.runtimes.record import read_record
    from chaoskit.runtimes.residue import residue, supervised

    runs = state_directory() / "runs"
    dead, living = [], 0
    for path in sorted(runs.iterdir()) if runs.is_dir() else ():
        record = read_record(path)
        if record is None:
            continue
        if supervised(record):
            living += 1
        else:
            dead.append((record.run, residue(record)))
    if living:
        yield Finding(
            "ok", f"{living} drill{'s run' if living > 1 else ' runs'} here now; measuring is in turn"
        )
    for run, left in dead:
        yield Finding(
            "note", f"{run} died and left {len(left)} things: {', '.join(left[:3])}", "chaoskit heal"
        )
    if not dead:
        yield Finding("ok", "no leftovers of dead runs")


def _pytest() -> Iterator[Finding]:
    try:
        found = version("pytest")
    except PackageNotFoundError:
        yield Finding(
            "note", "pytest is not installed here; `chaoskit run` works without it", "pip install pytest"
        )
        return
    numbers: tuple[int, ...] = ()
    with suppress(ValueError):
        numbers = tuple(int(part) for part in found.split(".")[:2])
    if numbers and _PYTEST_MIN <= numbers < _PYTEST_BELOW:
        yield Finding("ok", f"pytest {found}")
    else:
        yield Finding(
            "note", f"pytest {found}: drills as tests are made for 8.4 to 9.x", "pip install 'pytest<10'"
        )
