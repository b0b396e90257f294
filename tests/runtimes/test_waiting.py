"""The kernel's account of how long a process had to wait for a processor."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from chaoskit.runtimes.process_table import waited_ns

SPIN = "import time\nend = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass"


def test_process_that_shares_one_processor_with_another_waits_for_about_half_of_the_time() -> None:
    one = {0} if 0 in os.sched_getaffinity(0) else {min(os.sched_getaffinity(0))}
    spinning = [
        subprocess.Popen([sys.executable, "-c", SPIN], preexec_fn=lambda: os.sched_setaffinity(0, one))
        for _ in range(3)
    ]
    try:
        deadline = time.monotonic() + 10
        while (waited := waited_ns(spinning[0].pid)) < 200_000_000 and time.monotonic() < deadline:
            os.sched_yield()
        assert waited >= 200_000_000
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def test_process_that_is_gone_has_not_waited() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert waited_ns(process.pid) == 0
