"""A supervisor that has nothing to do uses no processor time, however long the machine has been up."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from chaoskit.runtimes.local.runtime import LocalRuntime
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import new_run

_TICKS = os.sysconf("SC_CLK_TCK")


def used_s(pid: int) -> float:
    """Processor time of a process so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def test_idle_supervisor_uses_no_processor(tmp_path: Path, state: Path) -> None:
    async def idle() -> float:
        plan = tiny.plan(tiny.shop(tmp_path / "system"))
        estate = await LocalRuntime().provision(plan, new_run(), tmp_path / "report")
        try:
            pid = estate.supervision.record.supervisor.pid
            before = used_s(pid)
            await asyncio.sleep(1.0)  # what is measured is that nothing happens in this time
            return used_s(pid) - before
        finally:
            await estate.close()

    assert asyncio.run(idle()) < 0.2
