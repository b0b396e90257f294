"""A keeper: the subreaper right above one service, so that the service's tree is exactly what descends from it.

PostgreSQL's children call setsid() and overwrite their environment, and a daemon forks twice: session, process
group, parent and environment marks all lose them. A subreaper per service does not: whatever the service starts
stays below its keeper until it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import dataclass
from typing import Any, NoReturn

from chaoskit.runtimes.kernel import become_subreaper, die_with_parent
from chaoskit.runtimes.process_table import look

SERVICE_NICE = 10
"""Services run at this much lower priority, so that the measurers keep their schedule."""


@dataclass(frozen=True)
class Job:
    """What one keeper runs. `user` is (uid, gid) to become; `stdin` is what the process reads."""

    name: str
    role: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    log: str
    nice: int = 0
    user: tuple[int, int] | None = None
    stdin: bytes = b""


def start(job: Job, keep_open: tuple[int, ...]) -> tuple[int, int]:
    """Fork a keeper. Returns its pid and the reading end of its reports.

    Reports are JSON lines: `{"pid", "start"}` or `{"error"}` first, `{"status"}` (as wait() gives it) when the job's
    main process has ended. The keeper itself ends when nothing is left below it. Call it from a single-threaded
    process only.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    supervisor = os.getpid()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    try:
        _keep(job, writing, supervisor, keep_open)
    except BaseException as error:  # noqa: BLE001 - nothing may return into the supervisor's own code
        _report(writing, error=f"{type(error).__name__}: {error}")
    finally:
        os._exit(70)


def _report(fd: int, **facts: Any) -> None:
    with contextlib.suppress(OSError):
        os.write(fd, json.dumps(facts).encode() + b"\n")


def _keep(job: Job, reports: int, supervisor: int, keep_open: tuple[int, ...]) -> NoReturn:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    die_with_parent(supervisor)
    _close_all_but(reports, *keep_open)
    become_subreaper()
    failure, failing = os.pipe2(os.O_CLOEXEC)
    keeper = os.getpid()
    main = os.fork()
    if main == 0:
        _become(job, failing, keeper)
    os.close(failing)
    error = os.read(failure, 4096)  # empty as soon as exec has closed the other end
    os.close(failure)
    entry = look(main)
    if error:
        os.waitpid(main, 0)
        _report(reports, error=error.decode())
        os._exit(0)
    _report(reports, pid=main, start=entry.start if entry else 0)
    _reap(main, reports)


def _reap(main: int, reports: int) -> NoReturn:
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            os._exit(0)
        if pid == main:
            _report(reports, status=status)


def _become(job: Job, failing: int, keeper: int) -> NoReturn:
    try:
        os.setsid()
        log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        stdin = os.open("/dev/null", os.O_RDONLY)
        if job.stdin:
            stdin = os.memfd_create("stdin")
            written = 0
            while written < len(job.stdin):
                written += os.write(stdin, job.stdin[written:])
            os.lseek(stdin, 0, os.SEEK_SET)
        os.nice(job.nice)
        if job.user is not None:
            os.setgroups([])
            os.setgid(job.user[1])
            os.setuid(job.user[0])
        os.chdir(job.cwd)
        die_with_parent(keeper)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for source, target in ((stdin, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.execvpe(job.argv[0], job.argv, job.env)
    except OSError as error:
        os.write(failing, f"{job.argv[0]}: {error.strerror}".encode())
    except BaseException as error:  # noqa: BLE001 - reported through the pipe; nothing may return from here
        os.write(failing, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(127)


def _close_all_but(*kept: int) -> None:
    """Close what the supervisor had open: above all the control socket, whose end is how the conductor's
    death shows.
    """
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))
