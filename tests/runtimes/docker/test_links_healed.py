"""The real Toxiproxy's defects contained: hung or dead, it is replaced, and what lay on its links is back."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from chaoskit.clock import monotonic_ns
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Toxic
from chaoskit.toxiproxy.client import Toxiproxy
from chaoskit.toxiproxy.errors import ServerUnreachable
from tests.runtimes.docker.links_bench import Bench, bench

pytestmark = pytest.mark.docker
LINKS = ("customers -> web", "web -> db", "web -> cache")
LATENCY = Toxic("slow", "latency", "downstream", {"latency": 1500, "jitter": 0})
LATE_S = 1.49
"""No answer of a busy machine takes so long without it."""


async def healed(here: Bench, before: int, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while len(here.links.restarts()) <= before:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


async def flooded(here: Bench) -> object:
    """A connection whose client has asked for more than it reads: the proxy is stuck in a write."""
    line = here.connect("web", here.links.seen_by_caller("web -> db"))
    line.sendall(b"flood\n")
    previous = -1
    while previous != (now := (await here.links.traffic())["web -> db"].downstream):
        previous = now
        await asyncio.sleep(0.2)
    return line


async def asked(here: Bench, link: str) -> float:
    begun = time.monotonic()
    answer = await asyncio.to_thread(here.ask, link)
    assert answer.endswith(b" hello\n")
    return time.monotonic() - begun


def test_the_deadlock_is_healed_the_fault_takes_effect_and_is_undone() -> None:
    async def main() -> None:
        async with bench(LINKS) as here:
            await here.links.enable("web -> cache", False)
            line = await flooded(here)
            begun = monotonic_ns()
            await here.links.add_toxic("web -> db", LATENCY)
            (restart,) = here.links.restarts()
            assert restart.lo < restart.hi <= monotonic_ns()
            assert restart.hi > begun
            assert set(restart.links) == set(LINKS)
            assert await asked(here, "web -> db") >= LATE_S
            assert await asked(here, "customers -> web") < LATE_S
            with pytest.raises(ConnectionRefusedError):  # what was cut is still cut
                here.ask("web -> cache")
            del line
            await here.links.remove_toxic("web -> db", "slow")
            await here.links.enable("web -> cache", True)
            assert await asked(here, "web -> db") < LATE_S
            assert await asked(here, "web -> cache") < LATE_S

    asyncio.run(main())


def test_a_server_that_somebody_else_has_hung_is_noticed_by_itself() -> None:
    async def main() -> None:
        async with bench(LINKS) as here:
            line = await flooded(here)
            api = here.links.api("web -> db")
            with pytest.raises(ServerUnreachable):
                await asyncio.to_thread(
                    Toxiproxy(api.host, api.port).add_toxic,
                    "web -> db",
                    "latency",
                    "downstream",
                    {"latency": 9},
                )
            await healed(here, 0)
            assert "hangs" in here.links.restarts()[0].why
            assert await asked(here, "web -> db") < 5
            del line

    asyncio.run(main())


@pytest.mark.parametrize("how", ["killed", "stopped", "paused", "removed"])
def test_a_server_that_is_dead_or_stopped_is_replaced(how: str) -> None:
    async def main() -> None:
        async with bench(LINKS) as here:
            await here.links.add_toxic("web -> cache", LATENCY)
            server = here.server()
            if how == "killed":
                os.kill(server.pid, signal.SIGKILL)
            elif how == "stopped":
                os.kill(server.pid, signal.SIGSTOP)
            elif how == "paused":
                await asyncio.to_thread(here.engine.client.api.pause, server.id)
            else:
                await asyncio.to_thread(here.engine.client.api.remove_container, server.id, force=True)
            await healed(here, 0)
            assert await asked(here, "web -> cache") >= LATE_S
            assert await asked(here, "web -> db") < LATE_S
            await here.links.remove_toxic("web -> cache", "slow")
            assert await asked(here, "web -> cache") < LATE_S

    asyncio.run(main())


@pytest.mark.parametrize("how", ["stopped", "paused"])
def test_one_that_goes_on_before_it_is_replaced_is_noted_with_its_span(how: str) -> None:
    async def main() -> None:
        async with bench(LINKS) as here:
            server, api = here.server(), here.engine.client.api
            await asyncio.sleep(0.2)  # it is being asked
            begun = monotonic_ns()
            if how == "stopped":
                os.kill(server.pid, signal.SIGSTOP)
            else:
                await asyncio.to_thread(api.pause, server.id)
            held = monotonic_ns()
            await asyncio.sleep(0.25)  # the disturbance itself
            until = monotonic_ns()
            if how == "stopped":
                os.kill(server.pid, signal.SIGCONT)
            else:
                await asyncio.to_thread(api.unpause, server.id)
            async with asyncio.timeout(10):
                while not (found := [one for one in here.links.held_up() if one.why.endswith(how)]):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert found[0].lo <= held + 50_000_000
            assert found[0].hi is not None
            assert found[0].hi >= until
            assert found[0].hi - found[0].lo > 200_000_000
            assert begun - 50_000_000 <= found[0].lo
            assert set(found[0].links) == set(LINKS)
            assert here.links.restarts() == ()
            assert await asked(here, "web -> db") < 5

    asyncio.run(main())


def test_without_its_network_there_is_nothing_to_heal_and_the_links_say_so() -> None:
    async def main() -> None:
        async with bench(LINKS) as here:
            holder = f"{here.server().recipe.name}-holder"
            await asyncio.to_thread(here.engine.client.api.remove_container, holder, force=True)
            os.kill(here.server().pid, signal.SIGKILL)
            async with asyncio.timeout(20):
                while here.links.broken is None:  # noqa: ASYNC110 - nothing announces it
                    await asyncio.sleep(0.02)
            with pytest.raises(EnvironmentBroken, match="cannot be started anew"):
                await here.links.enable("web -> db", False)

    asyncio.run(main())


def test_an_image_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with bench(LINKS):
            pytest.fail("it was taken for 2.12.0")

    monkeypatch.setattr("chaoskit.runtimes.docker.toxiproxy_server.VERSION", "2.11.0")
    with pytest.raises(EnvironmentBroken, match=r"is Toxiproxy 2\.12\.0; chaoskit knows 2\.11\.0"):
        asyncio.run(main())
