"""The far side of the sandbox: imports chaoskit once, then forks a fresh process for every command.

    sandbox ──{"argv", "cwd", "out", "err"}──► zygote ──fork──► one command, limited; its end comes back

A thousand inputs would otherwise be a thousand starts of Python. Nothing of one command outlives its process.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

BUSY_S_MAX, WALL_S_MAX = 10.0, 90.0
"""Killed then: it waits for something that never comes. What it waited for a processor does not count as busy."""
_GIB = 1 << 30
_LIMITS = {
    resource.RLIMIT_CPU: 8,
    resource.RLIMIT_AS: 3 * _GIB,  # the machine's own safety; what is judged is the resident memory
    resource.RLIMIT_FSIZE: 64 << 20,
    resource.RLIMIT_CORE: 0,
}


def import_everything() -> None:
    """Every module of chaoskit, so that no command pays for imports."""
    import chaoskit

    for module in pkgutil.walk_packages(chaoskit.__path__, "chaoskit."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    from chaoskit import pipeline

    pipeline.runtime("local")
    pipeline.runtime("docker")


def command(order: dict[str, Any]) -> None:
    """In the fork: run one command line exactly as `chaoskit` does; never returns."""
    code = 70
    try:
        for kind, most in _LIMITS.items():
            resource.setrlimit(kind, (most, most))
        os.chdir(order["cwd"])
        for fd, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
            file = os.open(path, os.O_RDONLY if fd == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(file, fd)
            os.close(file)
        from chaoskit.cli import streams
        from chaoskit.cli.app import run_app

        outputs = streams.prepare()
        code = streams.finish(outputs, run_app(order["argv"]))
    except BaseException:  # noqa: BLE001 - the harness's own trouble, or one that run_app let through
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    os._exit(code)


def waited_s(pid: int) -> float:
    """How long its most delayed thread has been ready and had no processor."""
    longest = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            longest = max(longest, int(path.read_text().split()[1]))
        except OSError:  # the thread has just ended
            continue
    return longest / 1e9


def fate(pid: int, began: float) -> dict[str, Any]:
    """Wait for the fork; what became of it, and what it used."""
    pidfd = os.pidfd_open(pid)
    waited = 0.0
    while not (done := select.select([pidfd], [], [], 1.0)[0]):
        waited = max(waited, waited_s(pid))
        wall = time.monotonic() - began
        if wall - waited > BUSY_S_MAX or wall > WALL_S_MAX:
            break
    wall = time.monotonic() - began
    if not done:
        os.kill(pid, signal.SIGKILL)
        select.select([pidfd], [], [])
    os.close(pidfd)
    waited = max(waited, waited_s(pid))  # the zombie still tells
    _, status, used = os.wait4(pid, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "hung": not done,
        "wall_s": wall,
        "waited_s": waited,
        "cpu_s": used.ru_utime + used.ru_stime,
        "memory_mb": used.ru_maxrss / 1024,
    }


def main() -> None:
    """Read orders from standard input, one JSON object a line, until it ends."""
    import_everything()
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            command(json.loads(line))
        print(json.dumps(fate(pid, began)), flush=True)
    os._exit(0)  # what was frozen would be called leaked by the libraries that own it


if __name__ == "__main__":
    main()
