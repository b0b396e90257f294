"""What this machine is, as far as recovery times depend on it: recorded with a run, and compared by `compare`."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaoskit.runtimes.control_groups import of_process


def this_machine() -> dict[str, Any]:
    """`system`, `processor` (architecture), `model` ("" where the kernel does not name it), `cpus` that this process
    may run on, `cpu_quota` (the time of so many of them; None: of all) and `python`."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "model": _model(),
        "cpus": len(os.sched_getaffinity(0)),
        "cpu_quota": cpu_quota(),
        "python": platform.python_version(),
    }


def cpu_quota() -> float | None:
    """How many processors' time the control groups leave this process, as `docker run --cpus` sets it; None: all."""
    group = of_process(os.getpid())
    if group is None:
        return None
    try:
        folder, version = group.folder("cpu")
    except KeyError:  # neither version has the controller
        return None
    quotas = [quota for one in (folder, *folder.parents) if (quota := _quota(one, version)) is not None]
    return min(quotas, default=None)


def _quota(folder: Path, version: int) -> float | None:
    """Of one group; None where it sets no limit, or is no group. A group has no more than the ones it lies in."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if version == 1 else ("cpu.max",)
    try:
        quota, period = (word for name in names for word in (folder / name).read_text("ascii").split())
        return round(int(quota) / int(period), 2) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # `max` is no number
        return None


def _model() -> str:
    """The processor's name, as x86 has it; other architectures have no line for it that says more than the class."""
    return next((value for name, value in _cpu_lines() if name == "model name"), "")


def _cpu_lines() -> Iterator[tuple[str, str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()
