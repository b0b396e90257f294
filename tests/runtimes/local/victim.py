"""Conductors that get killed: forked from here, so that a trial does not pay for starting Python.

Reads lines of JSON {"run", "plan", "folder", "after_s", "of"} and answers {"run", "pid"} when it has killed one. Each
conductor provisions, takes a lease, breaks, undoes and restarts in a circle until SIGKILL ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

from chaoskit.model.lease import Lease, MirrorUndo, SignalUndo, Undo
from chaoskit.model.plan import Plan
from chaoskit.runtimes.local.estate import LocalEstate
from chaoskit.runtimes.local.runtime import LocalRuntime
from chaoskit.runtimes.record import write_durably


async def conduct(plan: Plan, run: str, folder: Path, ready: int) -> None:
    """Until killed; closes `ready` when provisioned."""
    estate = await LocalRuntime().provision(plan, run, folder)
    os.close(ready)
    await estate.spawn("load", (sys.executable, "-S", "-c", "import time; time.sleep(600)"))
    number = 0
    while True:
        for service in plan.system.services:
            number += 1
            frozen = await _hold(estate, number, service)
            await estate.processes.freeze(service)
            await estate.undo(frozen)
            await estate.processes.kill(service)
            await estate.links.mirror(service, "refused" if number % 2 else "silent")
            await estate.lifecycle.start(service)


async def _hold(estate: LocalEstate, number: int, service: str) -> Undo:
    undo = Undo(
        steps=(SignalUndo(processes=await estate.processes.tree(service)), MirrorUndo(service=service))
    )
    lease = Lease(id=f"{number}", run=estate.run, step="freeze", target=service, undo=undo)
    leases = Path(estate.supervision.record.state) / "leases"
    leases.mkdir(exist_ok=True)
    write_durably(leases / f"{number}.json", lease.model_dump_json())
    return undo


def trial(order: dict[str, str]) -> int:
    """Fork a conductor and SIGKILL it `after_s` seconds after its fork, or (`of` ready) after it has provisioned."""
    reading, writing = os.pipe()
    end = time.monotonic() + float(order["after_s"])
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            plan = Plan.model_validate_json(Path(order["plan"]).read_text())
            asyncio.run(conduct(plan, order["run"], Path(order["folder"]), writing))
        except BaseException as error:  # noqa: BLE001 - said, and the parent must never be entered again
            print(f"{order['run']}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(3)
    os.close(writing)
    if order["of"] == "ready":
        os.read(reading, 1)
        end = time.monotonic() + float(order["after_s"])
    os.close(reading)
    time.sleep(max(0.0, end - time.monotonic()))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return pid if os.WIFSIGNALED(status) else -1


def main() -> None:
    """One order after the other."""
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps({"run": order["run"], "pid": trial(order)}), flush=True)


if __name__ == "__main__":
    main()
