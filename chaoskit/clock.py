"""The one clock of a run: CLOCK_MONOTONIC in nanoseconds, passed in wherever time is needed."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns CLOCK_MONOTONIC in ns; the same clock in every process of a Linux host."""


def monotonic_ns() -> int:
    """CLOCK_MONOTONIC, ns. It stops during a suspend; `suspended_ns` tells by how much."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def elapsed_ms(since_ns: int) -> float:
    """How long ago that instant of CLOCK_MONOTONIC was, in ms to a tenth, as facts of a run give it."""
    return round((monotonic_ns() - since_ns) / 1e6, 1)


def suspended_ns() -> int:
    """How long this host has been suspended since boot, ns; a growth during a run makes it unknown."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def boot_id() -> str:
    """Identity of this boot; a pid and its start time mean nothing under another one."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
