"""The connection to the Docker Engine: the SDK off the event loop, every wait bounded, every error with a remedy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import docker
import docker.errors
import requests

from chaoskit.runtimes.docker.engine_socket import EngineRefused, EngineSilent

_CALL_S = 30.0
_THREADS = 24
_SOCKET = "unix:///var/run/docker.sock"
_Value = TypeVar("_Value")


def engine_url() -> str:
    """DOCKER_HOST, else the engine's usual socket. The command line's contexts do not count."""
    return os.environ.get("DOCKER_HOST") or _SOCKET


class Engine:
    """One engine. `client` is the SDK's; whoever calls it does so through `do`."""

    def __init__(self, url: str | None = None, *, call_s: float = _CALL_S) -> None:
        """Raises EngineSilent when nothing answers at `url`."""
        self.url = url or engine_url()
        # Else Testcontainers takes the command line's context, and puts that there for all of this process.
        os.environ.setdefault("DOCKER_HOST", self.url)
        self.call_s = call_s
        self._under_way: set[Future[Any]] = set()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="engine")
        try:
            self.client = self.connect(call_s)
        except BaseException:
            self._threads.shutdown(wait=False)
            raise

    def connect(self, timeout_s: float | None) -> docker.DockerClient:
        """A client of its own: for a stream, with no time limit, or for a thread that must not wait for others."""
        try:
            client = docker.DockerClient(
                base_url=self.url,
                timeout=timeout_s,  # type: ignore[arg-type]  # None: a stream may be silent for as long as it likes
                max_pool_size=_THREADS,
            )
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise EngineSilent(
                f"no Docker Engine answers at {self.url}: {_words(error)}. Start one, or set DOCKER_HOST; "
                "`chaoskit doctor` says what is missing"
            ) from error
        client.api.trust_env = False
        return client

    @property
    def testcontainers_kwargs(self) -> dict[str, Any]:
        """What Testcontainers' client is made with, so that it speaks to this engine and to no other."""
        return {
            "environment": {**os.environ, "DOCKER_HOST": self.url},
            "use_context": False,
            "timeout": int(self.call_s),
        }

    async def do(self, what: str, call: Callable[[], _Value], within_s: float | None = None) -> _Value:
        """Run a blocking call in a thread. `what` says what was tried, for messages.

        Raises EngineRefused with the engine's own words, EngineSilent when it cannot be reached or after `within_s`.
        """
        limit_s = within_s or self.call_s + 5
        calling = self._threads.submit(self.now, what, call)
        self._under_way.add(calling)
        calling.add_done_callback(self._under_way.discard)
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.wrap_future(calling)
        except TimeoutError:
            raise EngineSilent(
                f"the Docker Engine at {self.url} did not {what} within {limit_s:g} s; is it overloaded, or hung?"
            ) from None

    def now(self, what: str, call: Callable[[], _Value]) -> _Value:
        """The same in the calling thread, bounded by the client's own time limit."""
        try:
            return call()
        except docker.errors.ImageNotFound as error:
            raise EngineRefused(404, f"cannot {what}: {_words(error)}") from error
        except docker.errors.APIError as error:
            raise EngineRefused(error.status_code or 500, f"cannot {what}: {_words(error)}") from error
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise EngineSilent(
                f"the Docker Engine at {self.url} did not {what}: {_words(error)}; is it still running?"
            ) from error

    async def drain(self, within_s: float) -> bool:
        """Wait for calls that nobody waits for any more; False if some are still under way after `within_s`.

        Whoever was cancelled has not cancelled the engine: what it was asked to make is made.
        """
        waiting = [one for one in tuple(self._under_way) if not one.cancel()]
        return not (await asyncio.to_thread(wait, waiting, within_s)).not_done

    def close(self) -> None:
        """Give up the connections; a call that still waits for the engine is left to its own time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.client.close()


def _words(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    text = str(explanation or error).strip()
    return text.rstrip(".") or type(error).__name__
