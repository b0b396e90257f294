"""What containers write, followed into the run folder while they run."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import docker

from chaoskit.runtimes.docker.engine import Engine

_LAST_WORDS_S = 2.0


class Logs:
    """One file for each service, `logs/<service>.log`, its replicas one after the other as they speak."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._client: docker.DockerClient | None = None
        self._following: dict[str, threading.Thread] = {}

    async def start(self) -> None:
        """Make the folder and the connection. Raises EngineSilent."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._client = await asyncio.to_thread(self._engine.connect, None)

    def path(self, service: str) -> Path:
        """The service's log."""
        return self._folder / f"{service}.log"

    def follow(self, service: str, container: str, since_s: float | None) -> None:
        """Append what the container writes from `since_s` (seconds since the epoch) on, or all of it, until it ends."""
        thread = threading.Thread(
            target=self._copy, args=(service, container, since_s), name=f"log of {service}", daemon=True
        )
        self._following[container] = thread
        thread.start()

    async def last_words(self, container: str) -> None:
        """Wait, for a moment at most, until all that an ended container has written is in its file."""
        if (thread := self._following.get(container)) is not None:
            await asyncio.to_thread(thread.join, _LAST_WORDS_S)

    def _copy(self, service: str, container: str, since_s: float | None) -> None:
        assert self._client is not None
        with open(self.path(service), "ab", buffering=0) as file:
            try:
                for chunk in self._client.api.logs(container, stream=True, follow=True, since=since_s):
                    file.write(chunk)
            except Exception as error:  # noqa: BLE001 - whatever it is, what is missing must not pass for silence
                file.write(f"[chaoskit: this log ends here: {type(error).__name__}: {error}]\n".encode())

    async def close(self) -> None:
        """Wait for the last words of containers that have ended, then stop."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LAST_WORDS_S
        for thread in tuple(self._following.values()):
            await asyncio.to_thread(thread.join, max(0.0, deadline - loop.time()))
        if self._client is not None:
            self._client.close()
