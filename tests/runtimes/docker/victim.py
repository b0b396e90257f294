"""Docker conductors that get killed: forked from here, so that a trial does not pay for starting Python.

Reads lines of JSON {"run", "folder", "temporary", "after_s"} and answers {"run", "reached", "s"} when it has killed
one, `s` seconds after its fork. Each conductor provisions, takes a lease, breaks and restarts a service, closes, ends;
`reached` is how far: forked, begun, ready, broken, closing, closed; failed if it ended by itself with an error (on
stderr): that must leave nothing either. Without `after_s` it is let live.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from chaoskit.model.lease import Lease, MirrorUndo, Undo
from chaoskit.model.plan import Plan
from chaoskit.run_folder import state_directory
from chaoskit.runtimes.docker.runtime import DockerRuntime
from chaoskit.runtimes.record import write_durably

PHASES = {b"b": "begun", b"r": "ready", b"x": "broken", b"c": "closing", b"d": "closed"}


async def conduct(plan: Plan, run: str, folder: Path, reached: int) -> None:
    """One whole life of an estate, telling `reached` of each phase."""
    os.write(reached, b"b")
    estate = await DockerRuntime().provision(plan, run, folder)
    os.write(reached, b"r")
    await estate.spawn("load", (sys.executable, "-S", "-c", "import time; time.sleep(600)"))
    lease = Lease(id="1", run=run, step="kill", target="back", undo=Undo(steps=(MirrorUndo(service="back"),)))
    leases = state_directory() / "runs" / run / "leases"
    leases.mkdir(exist_ok=True)
    write_durably(leases / "1.json", lease.model_dump_json())
    await estate.processes.kill("back")
    await estate.links.mirror("back", "refused")
    os.write(reached, b"x")
    await estate.lifecycle.start("back")
    os.write(reached, b"c")
    await estate.close()
    os.write(reached, b"d")


def trial(plan: Plan, order: dict[str, Any]) -> dict[str, Any]:
    """Fork a conductor and SIGKILL it `after_s` seconds after its fork."""
    reading, writing = os.pipe()
    begin = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.close(reading)
            os.environ["TMPDIR"] = tempfile.tempdir = order["temporary"]
            asyncio.run(conduct(plan, order["run"], Path(order["folder"]), writing))
        except BaseException as error:  # noqa: BLE001 - said, and the parent must never be entered again
            print(f"{order['run']}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(3)
        finally:
            os._exit(0)
    os.close(writing)
    if order.get("after_s") is not None:
        time.sleep(max(0.0, begin + float(order["after_s"]) - time.monotonic()))
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    said = b""
    while chunk := os.read(reading, 100):
        said += chunk
    os.close(reading)
    failed = os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0
    phase = "failed" if failed else PHASES[said[-1:]] if said else "forked"
    return {"run": order["run"], "reached": phase, "s": time.monotonic() - begin}


def main() -> None:
    """One order after the other; the plan is the file that is the only argument."""
    plan = Plan.model_validate_json(Path(sys.argv[1]).read_text())
    for line in sys.stdin:
        print(json.dumps(trial(plan, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
