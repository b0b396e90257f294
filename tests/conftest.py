"""What every test relies on, however the tests were started."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from chaoskit.runtimes.slot import Slot

# A shell that starts the tests in the background leaves SIGINT ignored, `nohup` SIGHUP, and children inherit that: the
# commands under test would rightly not hear the signals that they are sent.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# What the caller says to this pytest is not for those that tests start: with its `--basetemp` they delete its files.
os.environ.pop("PYTEST_ADDOPTS", None)

# An example that takes 200 ms says that this machine is busy, nothing of the code.
settings.register_profile("chaoskit", deadline=None)
settings.load_profile("chaoskit")


@pytest.fixture(autouse=True)
def unbounded() -> Iterator[None]:
    """Who asks for real time in this very process leaves it bounded for good: two busy seconds of a later test, which
    asks as well, would end the worker."""
    before = resource.getrlimit(resource.RLIMIT_RTTIME)
    yield
    assert resource.getrlimit(resource.RLIMIT_RTTIME)[1] == before[1], "ask for real time in a child process"


@pytest.fixture
def beside_no_drill(request: pytest.FixtureRequest) -> Iterator[None]:
    """For what keeps this machine busy to its last core: a drill that another worker measures meanwhile is unknown."""
    slot = Slot(request.node.name, within_s=1200)
    asyncio.run(slot.acquire())
    yield
    slot.release()
