"""A state directory of its own for every test, and estates that are always closed."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from chaoskit.model.plan import Plan
from chaoskit.runtimes.local.estate import LocalEstate
from chaoskit.runtimes.local.runtime import LocalRuntime
from chaoskit.runtimes.residue import residue

Provision = Callable[[Plan], AbstractAsyncContextManager[LocalEstate]]
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's runs keep their state."""
    folder = tmp_path / "state"
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(folder))
    return folder


def new_run() -> str:
    """A run's name that no other test uses."""
    return f"test-{os.getpid()}-{next(_numbers)}"


async def eventually(
    condition: Callable[[], Awaitable[bool]] | Callable[[], bool], within_s: float = 20.0
) -> None:
    """Wait until it is true; TimeoutError after `within_s` seconds. For what nothing announces."""
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.005)


@pytest.fixture
def provision(tmp_path: Path) -> Provision:
    """`async with provision(plan) as estate`: closed at the end, and shown to have left nothing."""

    @asynccontextmanager
    async def provisioned(plan: Plan) -> AsyncIterator[LocalEstate]:
        run = new_run()
        estate = await LocalRuntime().provision(plan, run, tmp_path / "reports" / run)
        record = estate.supervision.record
        try:
            yield estate
        finally:
            await estate.close()
        assert residue(record) == []

    return provisioned
