"""`python -m tests.runtimes.local.beset FOLDER`: provisions, is flooded, tells the attacker's pid, kills itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from chaoskit.runtimes.local.runtime import LocalRuntime
from tests.contracts.besetting import FLOOD, attack
from tests.runtimes.local.conftest import new_run
from tests.runtimes.local.test_outsiders import plan


async def main(folder: Path) -> None:
    """Never returns."""
    estate = await LocalRuntime().provision(plan(folder / "system"), new_run(), folder / "reports")
    _, witness = await attack(estate, "web", *FLOOD)
    assert witness.seen, witness.how
    [(pid, start)] = await estate.supervision.call("tree", name="outsider:flood-web")
    print(pid, start, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
