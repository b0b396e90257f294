"""What the engine tells late of a container that was replaced is not about the one in its place."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from chaoskit.runtimes.docker import services
from chaoskit.runtimes.docker.events import ContainerEvent
from chaoskit.runtimes.docker.services import Recipe, Replica
from chaoskit.runtimes.docker.watch import Watch


class Engine:
    """One that does as it is told."""

    def __init__(self) -> None:
        self.client = SimpleNamespace(api=SimpleNamespace(remove_container=lambda _: None))

    async def do(self, what: str, work: Any, within_s: float = 0) -> Any:
        return work()


def test_a_restart_that_is_told_after_the_removal_does_not_bring_the_old_container_back() -> None:
    replica = Replica("ledger", Recipe("run-ledger", "bank", {}), id="old")
    replica.ended.set()
    engine: Any = Engine()
    nobody: Any = SimpleNamespace(gone=lambda _: None)
    watch = Watch(engine, {"ledger": (replica,)}, {}, frozenset(), frozenset(), nobody, nobody, nobody)

    def tell(action: Any, container: str) -> None:
        watch.hear(ContainerEvent(action, container, {"name": "run-ledger"}, at_ns=1, exit_code=137))

    async def main() -> None:
        await services.remove(engine, replica)
        for action in ("start", "oom", "die"):
            tell(action, "old")
        assert (replica.id, replica.out_of_memory, replica.exit_code) == ("", False, None)
        tell("oom", "new")
        assert (replica.id, replica.out_of_memory) == ("new", True)

    asyncio.run(main())
