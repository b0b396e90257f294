"""Estates on the real engine that are always closed, and shown to have left nothing."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec

import pytest

from chaoskit.model.plan import Plan
from chaoskit.runtimes.docker.engine import engine_url
from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.estate import DockerEstate
from chaoskit.runtimes.docker.removal import labelled
from chaoskit.runtimes.docker.runtime import DockerRuntime

P = ParamSpec("P")
Provision = Callable[[Plan], AbstractAsyncContextManager[DockerEstate]]
_numbers = itertools.count()


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that is a coroutine."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@pytest.fixture
def provision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provision:
    """`async with provision(plan) as estate`: closed at the end; nothing with the run's label may be left."""
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(tmp_path / "state"))

    @asynccontextmanager
    async def provisioned(plan: Plan) -> AsyncIterator[DockerEstate]:
        run = f"test-{os.getpid()}-{next(_numbers)}"
        try:
            estate = await DockerRuntime().provision(plan, run, tmp_path / "reports" / run)
            try:
                yield estate
            finally:
                await estate.close()
        finally:
            assert labelled(EngineSocket(engine_url()), [f"chaoskit.run={run}"]) == []

    return provisioned


async def eventually(
    condition: Callable[[], Awaitable[bool]] | Callable[[], bool], within_s: float = 20.0
) -> None:
    """Wait until it is true; TimeoutError after `within_s` seconds. For what nothing announces."""
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


collect_ignore = ["small"]
"""A drill for tests to run, on Docker; by itself it would be collected for `local`."""
