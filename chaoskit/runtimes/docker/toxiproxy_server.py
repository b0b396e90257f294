"""One network's Toxiproxy: watched, and started anew with all that lay on it when it hangs or dies.

    holder   its network: addresses, packet filter; idle, never restarted, so that these outlive the server
    server   Toxiproxy in the holder's network, on the holder's address : 8474

A real Toxiproxy can hang for good (a latency toxic added while a client does not read), so that an undo would never
happen. Every call is short; one that fails, or a look that does, has the server replaced and repopulated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

from chaoskit.clock import monotonic_ns
from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes import process_table
from chaoskit.runtimes.docker import services
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.engine_socket import EngineRefused
from chaoskit.runtimes.docker.proxy_pulse import ServerPulse, frozen
from chaoskit.runtimes.docker.services import Attachment, Recipe, Replica
from chaoskit.runtimes.docker.toxiproxy_image import toxiproxy_image
from chaoskit.toxiproxy.client import Toxiproxy
from chaoskit.toxiproxy.errors import ChangeNotTaken, RequestRefused, ServerUnreachable, ToxiproxyError

VERSION = "2.12.0"
API_PORT = 8474
_CALL_S = 0.7
_LOOK_EVERY_S = 0.2
_LOOK_S = 0.6
_START_S = 15.0
_TRIES = 3
_THREADS = 8
_DIAL_S = 0.05
_STARVED = 0.2
"""Share of a look that the server's threads spent waiting for a processor: then the machine is slow, not the server."""
_Value = TypeVar("_Value")


class ToxiproxyServer:
    """`repopulate` brings a new, empty server to what it should be, and blocks. `healed` hears of each restart,
    `held_up` of each span in which it carried nothing and went on by itself.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        labels: Mapping[str, str],
        attachments: tuple[Attachment, ...],
        repopulate: Callable[[Toxiproxy], None],
        healed: Callable[[int, int, str], None],
        held_up: Callable[[int, int, str], None],
    ) -> None:
        # The holder dials: a callee whose address is silent must not block the accept loop for two minutes.
        options = {"command": ["-host=127.0.0.1", "-port=1"], "sysctls": {"net.ipv4.tcp_syn_retries": "1"}}
        self.name = name
        self.host = ""
        self._image = toxiproxy_image()
        self._engine = engine
        self._labels = dict(labels)
        self._holder = Replica(
            "the links", Recipe(f"{name}-holder", self._image, labels, attachments, options)
        )
        self._server: Replica | None = None
        self._network = attachments[0].network
        self._repopulate = repopulate
        self._healed = healed
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="toxiproxy")
        self._healing = asyncio.Lock()
        self._ready = asyncio.Event()
        self._generation = self._started = self._changing = 0
        self._good_ns = 0
        self._lost: str | None = None
        self._pulse = ServerPulse(self._serving, held_up)
        self._watching: tuple[asyncio.Task[None], ...] = ()

    @property
    def pid(self) -> int:
        """Host pid of the holder: the way into its network."""
        return self._holder.pid

    async def start_holder(self) -> None:
        """Make the network's end of the proxy. Raises EngineRefused, EnvironmentBroken."""
        await services.create_and_start(self._engine, self._holder)
        self.host = self._holder.addresses.get(self._network, "")
        if not self._holder.running or not self.host:
            raise EnvironmentBroken(
                f"the proxy of {self._network} has no address: is its image {self._image} sound?"
            )

    async def start(self) -> None:
        """Start the server and fill it. Raises EnvironmentBroken when it is no Toxiproxy 2.12.0."""
        await self._renew()
        self._good_ns = monotonic_ns()
        self._ready.set()
        self._watching = tuple(map(asyncio.create_task, (self._watch(), self._pulse.follow())))

    async def stop(self) -> None:
        """Watch no longer; what the containers are removed by is the run's clean-up."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def change(
        self,
        action: Callable[[Toxiproxy], _Value],
        unblock: Callable[[], Awaitable[None]] | None = None,
    ) -> _Value:
        """Do something that may be done twice, and be sure of it: a server that fails at it is replaced.

        `unblock` is called, again and again, while the server is slow to answer. Raises EnvironmentBroken.
        """
        for attempt in range(_TRIES):
            await self._until_ready()
            generation = self._generation
            client = Toxiproxy(self.host, API_PORT, _CALL_S)
            try:
                with self._being_changed():
                    return await self._unblocked(lambda client=client: action(client), unblock)  # type: ignore[misc]
            except (ServerUnreachable, ChangeNotTaken, RequestRefused) as error:
                failed = error
                # The first time, a busy machine may be all there is to it.
                why = await self._ailment() or (f"a change failed: {error}" if attempt else None)
                if why is not None:
                    await self._heal(generation, why)
        raise EnvironmentBroken(f"the proxy of {self._network}, started anew, still fails: {failed}")

    @contextmanager
    def _being_changed(self) -> Iterator[None]:
        self._changing += 1
        try:
            yield
        finally:
            self._changing -= 1

    # -- looking after it -----------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            generation, looked_ns = self._generation, monotonic_ns()
            why = await self._ailment()
            if why is None:
                self._good_ns = max(self._good_ns, looked_ns)
            elif generation == self._generation:
                with suppress(EnvironmentBroken):  # kept in `_lost`, for whoever needs the links next
                    await self._heal(generation, why)

    async def _ailment(self) -> str | None:
        """None while all is well. A busy machine gets a second look; a stopped or dead server does not."""
        for last in (False, True):
            begun_ns, waited_ns = monotonic_ns(), self._waited_ns()
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._get("/proxies")
                return None
            except TimeoutError:
                if monotonic_ns() - begun_ns > 2 * _LOOK_S * 1e9:
                    return None  # it was this process that slept; the next look is soon
                ailing = self._state_of_process()
                # A change under way holds the lock that this look waits for, and a starved server holds it longer.
                starved = self._waited_ns() - waited_ns > _STARVED * (monotonic_ns() - begun_ns)
                patient = not last and (starved or self._changing > 0)
                if ailing is None and await self._answers_version() and not patient:
                    ailing = "its control plane hangs"
                ailing = ailing or self._paused()
                if ailing is not None:
                    return ailing
            except OSError as error:
                return f"it is dead: {error}"
        return "it does not answer"

    def _serving(self) -> tuple[str, int, int]:
        server = self._server if self._ready.is_set() else None
        return self.host, API_PORT, 0 if server is None else server.pid

    def _waited_ns(self) -> int:
        """How long the server's threads have waited for a processor so far, by the kernel's account; 0 if unknown."""
        return process_table.waited_ns(self._server.pid) if self._server is not None else 0

    async def _answers_version(self) -> bool:
        try:
            async with asyncio.timeout(_LOOK_EVERY_S):
                return b"version" in await self._get("/version")
        except (OSError, TimeoutError):
            return False

    def _state_of_process(self) -> str | None:
        if self._server is None or (found := process_table.look(self._server.pid)) is None:
            return "its process is gone"
        state = process_table.state(found.pid, found.start)
        return None if state == "running" else f"its process is {state}"

    def _paused(self) -> str | None:
        return "its container is paused" if self._server is not None and frozen(self._server.pid) else None

    async def _get(self, path: str) -> bytes:
        reader, writer = await asyncio.open_connection(self.host, API_PORT)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: toxiproxy\r\n\r\n".encode())
            return await reader.read()
        finally:
            writer.transport.abort()

    async def _heal(self, generation: int, why: str) -> None:
        async with self._healing:
            if generation != self._generation or self._lost is not None:
                return
            self._ready.clear()
            lo = self._good_ns
            try:
                await self._renew()
            except (EnvironmentBroken, ToxiproxyError) as error:
                self._lost = (
                    f"the proxy of {self._network} failed ({why}) and cannot be started anew: {error}"
                )
                self._ready.set()
                raise EnvironmentBroken(self._lost) from error
            self._generation += 1
            self._good_ns = monotonic_ns()
            self._healed(lo, self._good_ns, why)
            self._ready.set()

    @property
    def lost(self) -> str | None:
        """Why there are no links on this network any more, if so."""
        return self._lost

    async def _until_ready(self) -> None:
        async with asyncio.timeout(3 * _START_S):
            await self._ready.wait()
        if self._lost is not None:
            raise EnvironmentBroken(self._lost)

    # -- the container --------------------------------------------------------------------------------

    async def _renew(self) -> None:
        """A new server in the holder's network, filled, whatever state the one before is in."""
        api = self._engine.client.api
        if self._server is not None:
            old = self._server.id
            with suppress(EngineRefused):  # it is gone already
                await self._engine.do("remove a broken proxy", lambda: api.remove_container(old, force=True))
            await services.look(self._engine, self._holder)
            if not self._holder.running:
                raise EnvironmentBroken("its network is gone, somebody has ended the container that holds it")
        options = {
            "network_mode": f"container:{self._holder.id}",
            "command": ["-host=0.0.0.0", f"-port={API_PORT}"],
            "environment": {"LOG_LEVEL": "error"},  # its default is a dozen lines for each connection
        }
        # A name of its own for each: the one before may be a while in going.
        name = f"{self.name}-{self._started}" if self._started else self.name
        self._started += 1
        self._server = Replica("the links", Recipe(name, self._image, self._labels, (), options))
        await services.create_and_start(self._engine, self._server)
        await self._in_thread(self._fill)

    def _fill(self) -> None:
        client = Toxiproxy(self.host, API_PORT, _CALL_S)
        version = client.wait_ready(_START_S)
        if version != VERSION:
            raise EnvironmentBroken(
                f"the proxy of {self._network} is Toxiproxy {version}; chaoskit knows {VERSION}: remove the image "
                f"{self._image} and get the one of that version (scripts/set-up-docker)"
            )
        end = time.monotonic() + _START_S
        while True:
            try:
                return self._repopulate(client)
            except (ServerUnreachable, ChangeNotTaken, RequestRefused):
                # A machine too busy to answer in time. Filling is safe to do twice.
                if time.monotonic() > end:
                    raise

    async def _in_thread(self, action: Callable[[], _Value]) -> _Value:
        return await asyncio.get_running_loop().run_in_executor(self._threads, action)

    async def _unblocked(
        self, action: Callable[[], _Value], unblock: Callable[[], Awaitable[None]] | None
    ) -> _Value:
        doing = asyncio.ensure_future(self._in_thread(action))
        # Whoever waits may be interrupted: the thread goes on, and its failure is then nobody's to hear.
        doing.add_done_callback(lambda done: done.cancelled() or done.exception())
        while unblock is not None and not doing.done():
            await asyncio.wait({doing}, timeout=_DIAL_S)
            if not doing.done():
                await unblock()
        return await doing
