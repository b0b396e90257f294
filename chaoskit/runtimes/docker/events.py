"""The engine's events of one run's containers, heard in a thread and told in the event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import docker

from chaoskit.runtimes.docker.engine import Engine

_ACTIONS = frozenset({"start", "die", "oom", "destroy"})


@dataclass(frozen=True)
class ContainerEvent:
    """Something that happened to a container; `at_ns` on CLOCK_MONOTONIC, from the engine's own time of it."""

    action: str
    id: str
    labels: Mapping[str, str]
    at_ns: int
    exit_code: int | None


class Events:
    """Started before anything is made: nothing is missed. `ended` is set when the stream breaks off, `why` says how."""

    def __init__(
        self, engine: Engine, selector: Iterable[str], hear: Callable[[ContainerEvent], None]
    ) -> None:
        self._engine = engine
        self._filters = {"type": ["container"], "label": list(selector)}
        self._hear = hear
        self._client: docker.DockerClient | None = None
        self._stream: Any = None
        self._closing = False
        self.ended = asyncio.Event()
        self.why = "the stream has come to its end"

    async def start(self) -> None:
        """Returns once the engine has begun to tell. Raises EngineSilent or EngineRefused."""
        self._client = await asyncio.to_thread(self._engine.connect, None)
        api = self._client.api
        self._stream = await self._engine.do(
            "tell its events", lambda: api.events(decode=True, filters=self._filters)
        )
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="engine events", daemon=True).start()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            for message in self._stream:
                if (event := _event(message)) is not None:
                    loop.call_soon_threadsafe(self._hear, event)
        except Exception as error:  # noqa: BLE001 - however it breaks off, `ended` says that nothing more will be heard
            self.why = f"{type(error).__name__}: {error}"
        try:
            loop.call_soon_threadsafe(self.ended.set)
        except RuntimeError:  # the loop has been closed: nobody listens any more
            return

    def close(self) -> None:
        """Stop listening."""
        if self._stream is not None:
            self._stream.close()
        if self._client is not None:
            self._client.close()


def _event(message: Mapping[str, Any]) -> ContainerEvent | None:
    action = str(message.get("Action", "")).partition(":")[0]
    if action not in _ACTIONS:
        return None
    actor = message["Actor"]
    attributes = actor.get("Attributes") or {}
    told_ns = int(message.get("timeNano") or int(message["time"]) * 10**9)
    # The engine tells the time of day; ours is monotonic.
    at_ns = told_ns - time.clock_gettime_ns(time.CLOCK_REALTIME) + time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    code = attributes.get("exitCode")
    return ContainerEvent(action, actor["ID"], attributes, at_ns, int(code) if code is not None else None)
