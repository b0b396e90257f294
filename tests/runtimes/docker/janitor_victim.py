"""A conductor that starts a janitor, makes objects on an engine and waits to be killed.

Arguments: the engine's URL, the run's state folder, its run folder, its scratch folder. Says `ready` when all exist;
`late` as a fifth argument makes it ask for one more container and say `asked` without waiting for it.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.janitor import Janitor
from chaoskit.runtimes.docker.ownership import Owner


async def conduct(url: str, state: Path, folder: Path, scratch: Path, late: bool) -> None:
    """Until killed."""
    owner = Owner.this(state.name, str(state))
    await Janitor.start(owner, url, folder, scratch)
    engine = EngineSocket(url)

    def make(kind: str, name: str) -> None:
        engine.call("POST", f"/{kind}/create", body={"Name": f"{state.name}-{name}", "Labels": owner.labels})

    for kind, name in (
        ("networks", "net"),
        ("volumes", "data"),
        ("containers", "one"),
        ("containers", "two"),
    ):
        make(kind, name)
    scratch.mkdir(parents=True)  # noqa: ASYNC240 - nothing else runs
    (scratch / "copy").write_text("of a bind mount")
    if late:
        threading.Thread(target=make, args=("containers", "late"), daemon=True).start()
    print("asked" if late else "ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(conduct(sys.argv[1], *map(Path, sys.argv[2:5]), sys.argv[5:] == ["late"]))
