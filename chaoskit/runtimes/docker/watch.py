"""What becomes of a run's containers, told to whoever has to know: starts, ends, crashes, addresses, links.

engine ──start──► inspect: pid, addresses ──► log ──► listens? ──► its links come up
       ──die────► an Exit, if nobody asked ──► nothing of the service left? ──► its links look dead
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Exit
from chaoskit.runtimes import sockets
from chaoskit.runtimes.docker import services
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.events import ContainerEvent
from chaoskit.runtimes.docker.logs import Logs
from chaoskit.runtimes.docker.services import Replica
from chaoskit.runtimes.readiness import tail

_LOOK_EVERY_S = 0.02  # nothing announces that a process has begun to listen
_RESOLVER = "127.0.0.11"  # the engine's own, in every container


class Callees(Protocol):
    """What the links want to know of the services they lead to."""

    async def listens(self, service: str) -> None: ...

    def gone(self, service: str) -> None: ...

    async def moved(self) -> None: ...

    async def mirror(self, service: str, mode: Literal["refused", "silent"]) -> tuple[str, ...]: ...


class Watch:
    """Hears every event of the run's containers. `broken` says why nothing more can be known, if so.

    `tasks` listen nowhere; `may_end` are the services that may end well by themselves. `arrived` is told of a
    service of which a container runs, before it is reached over any link.
    """

    def __init__(
        self,
        engine: Engine,
        replicas: Mapping[str, Sequence[Replica]],
        ports: Mapping[str, Sequence[int]],
        tasks: frozenset[str],
        may_end: frozenset[str],
        links: Callees,
        logs: Logs,
        arrived: Callable[[str], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._replicas = replicas
        self._by_name = {one.recipe.name: one for several in replicas.values() for one in several}
        self._ports = ports
        self._tasks = tasks
        self._may_end = may_end
        self._links = links
        self._logs = logs
        self._arrived = arrived
        self._ended_at_s: dict[str, float] = {}
        self._arriving: dict[str, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._closing = False
        self.exits: list[Exit] = []
        self.broken: str | None = None

    def hear(self, event: ContainerEvent) -> None:
        """An event, in the event loop."""
        replica = self._by_name.get(event.labels.get("name", ""))
        if replica is None or self._closing or event.id in replica.removed:
            return
        replica.id = event.id
        if event.action == "start":
            self._started(replica, event)
        elif event.action == "oom":
            replica.out_of_memory = True
        elif event.action == "die":
            self._ended(replica, event)

    def close(self) -> None:
        """What comes now is our own doing."""
        self._closing = True
        for task in (*self._arriving.values(), *self._background):
            task.cancel()

    # -- starts ---------------------------------------------------------------------------------------

    def _started(self, replica: Replica, event: ContainerEvent) -> None:
        replica.asked = replica.out_of_memory = False
        replica.exit_code = None
        replica.ended.clear()
        replica.listening.clear()
        # Not from the start's own time: the engine tells of it when the process may have written something already.
        self._logs.follow(replica.service, replica.id, self._ended_at_s.get(replica.id))
        self._arriving[replica.id] = self._begin(self._arrive(replica))

    async def _arrive(self, replica: Replica) -> None:
        await services.look(self._engine, replica)
        await self._arrived(replica.service)
        self._begin(self._links.moved())  # beside: nobody's recovery waits for counters
        if replica.service in self._tasks:
            return
        await until_listening(replica, self._ports[replica.service])
        await self._links.listens(replica.service)
        replica.listening.set()

    # -- ends -----------------------------------------------------------------------------------------

    def _ended(self, replica: Replica, event: ContainerEvent) -> None:
        if (arriving := self._arriving.pop(replica.id, None)) is not None:
            arriving.cancel()
        replica.pid, replica.exit_code = 0, event.exit_code
        ago_s = (time.clock_gettime_ns(time.CLOCK_MONOTONIC) - event.at_ns) / 1e9
        self._ended_at_s[replica.id] = time.time() - ago_s
        replica.listening.clear()
        replica.ended.set()
        unasked = not replica.asked and not (replica.service in self._may_end and event.exit_code == 0)
        if unasked:
            self._begin(self._tell(replica, event.at_ns, in_words(event.exit_code, replica.out_of_memory)))
        if replica.service in self._tasks or any(one.running for one in self._replicas[replica.service]):
            return
        self._links.gone(replica.service)
        if unasked:  # a crashed callee must look dead as a killed one does
            self._begin(self._mirror(replica.service))

    async def _tell(self, replica: Replica, at_ns: int, status: str) -> None:
        await self._logs.last_words(replica.id)
        self.exits.append(Exit(replica.service, at_ns, status, tail(self._logs.path(replica.service))))

    async def _mirror(self, service: str) -> None:
        await self._links.mirror(service, "refused")

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._closing:
            ours = isinstance(error, EnvironmentBroken)
            self.broken = self.broken or (str(error) if ours else f"{type(error).__name__}: {error}")


async def until_listening(replica: Replica, ports: Sequence[int]) -> None:
    """Wait until the container's network namespace has a socket that listens on the first of `ports`.

    The kernel's own table is read: a knock on the door would be a connection that the service has to deal with. A
    service without a known port counts as listening as soon as it runs.
    """
    while ports and not _listens(replica, ports[0]):  # noqa: ASYNC110 - the kernel tells nobody
        await asyncio.sleep(_LOOK_EVERY_S)


def unheard(replicas: Iterable[Replica], ports: Sequence[int]) -> str:
    """`; nothing listens on its port 81, but on 80`: for whom `expose` is mistaken. Empty if they do listen."""
    waited = [one for one in replicas if ports and one.pid > 0 and not _listens(one, ports[0])]
    if not waited:
        return ""
    found = {
        str(one) for replica in waited for one in sockets.listening(replica.pid) if one.host != _RESOLVER
    }
    heard = f", but on {', '.join(sorted(found))}" if found else ""
    return f"; nothing listens on its port {ports[0]}{heard}"


def _listens(replica: Replica, port: int) -> bool:
    own = replica.addresses.values()
    return replica.pid > 0 and any(
        one.port == port and (one.everywhere or one.host in own) for one in sockets.listening(replica.pid)
    )


def in_words(exit_code: int | None, out_of_memory: bool = False) -> str:
    """`exit status 1`, `killed by SIGKILL`, `killed by SIGKILL, out of memory`."""
    if exit_code is None:
        return "ended"
    if exit_code <= 128:
        return f"exit status {exit_code}"
    try:
        how = f"killed by {signal.Signals(exit_code - 128).name}"
    except ValueError:
        return f"exit status {exit_code}"
    return f"{how}, out of memory" if out_of_memory else how
