"""Links that look as dead as their callee, drain where a fault lies, and stay down behind a fence."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from chaoskit.model.estate import Address, Toxic
from chaoskit.model.lease import LinkUndo, MirrorUndo, NothingToUndo, ToxicUndo, Undo
from chaoskit.model.security import isolating
from chaoskit.runtimes.local.estate import LocalEstate
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision, eventually

LINKS = ("customers -> shop", "front -> shop", "front -> other")
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Kind = Literal["answered", "refused", "silent", "closed"]


SILENT_S = 0.3
ANSWERED_S = 10.0
"""A service of the machine is nice, and a busy machine lets it wait."""


async def look(address: Address, within_s: float = SILENT_S) -> Kind:
    """What a new customer finds there."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                writer.write(ASK)
                return "answered" if await reader.read(1) else "closed"
            finally:
                writer.close()
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:
        return "closed"
    except TimeoutError:
        return "silent"


async def shows(estate: LocalEstate, *wanted: Kind) -> None:
    """At every link, in order; only for one that should be silent silence is not waited for long."""
    addresses = [estate.links.address(link) for link in LINKS]
    patience = [SILENT_S if kind == "silent" else ANSWERED_S for kind in wanted]
    assert [await look(*one) for one in zip(addresses, patience, strict=True)] == list(wanted)


async def finds(address: Address, kind: Kind) -> bool:
    """Whether a new customer finds that."""
    return await look(address) == kind


async def carried(estate: LocalEstate, count: int) -> bool:
    """Whether so many bytes have come from the callee."""
    return (await estate.links.traffic())[LINKS[0]].downstream >= count


@pytest.fixture
def system(tmp_path: Path) -> object:
    """Two callees and a caller."""
    return tiny.plan(tiny.system(tmp_path, [tiny.web("shop"), tiny.web("other"), tiny.web("front")], LINKS))


def test_a_killed_callee_refuses_and_comes_back_when_it_listens(system: object, provision: Provision) -> None:
    async def main() -> None:
        async with provision(system) as estate:  # type: ignore[arg-type]
            await shows(estate, "answered", "answered", "answered")
            await estate.processes.kill("shop")
            assert await estate.links.mirror("shop", "refused") == LINKS[:2]
            await shows(estate, "refused", "refused", "answered")
            await estate.undo(Undo(steps=(NothingToUndo(why="dead"), MirrorUndo(service="shop"))))
            await shows(estate, "refused", "refused", "answered")
            await estate.lifecycle.start("shop")
            await shows(estate, "answered", "answered", "answered")

    asyncio.run(main())


def test_a_lost_host_is_silent_for_old_and_new_connections(system: object, provision: Provision) -> None:
    async def main() -> None:
        async with provision(system) as estate:  # type: ignore[arg-type]
            address = estate.links.address("customers -> shop")
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(ASK)
            assert await reader.read(1)
            await estate.links.mirror("shop", "silent")
            await estate.processes.kill("shop")
            await eventually(lambda: finds(estate.direct("shop"), "silent"))
            await shows(estate, "silent", "silent", "answered")
            writer.write(ASK)
            with pytest.raises(TimeoutError):  # what it said before may still come; an end must not
                await asyncio.wait_for(reader.read(), 0.3)
            writer.close()
            await estate.lifecycle.start("shop")
            await shows(estate, "answered", "answered", "answered")
            assert await look(estate.direct("shop"), ANSWERED_S) == "answered"

    asyncio.run(main())


def test_a_link_with_a_fault_on_it_drains_after_the_kill(tmp_path: Path, provision: Provision) -> None:
    """The false zero of MEASUREMENT: what a latency toxic holds still arrives, unless its link is cut as well."""
    run = tiny.WEB
    plan = tiny.plan(tiny.system(tmp_path, [tiny.web("shop", run)], LINKS[:1]))

    async def answer(estate: LocalEstate, *, cut: bool) -> bytes:
        address = estate.links.address(LINKS[0])
        await estate.links.add_toxic(LINKS[0], Toxic("slow", "latency", "downstream", {"latency": 2500}))
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(ASK)
        await eventually(lambda: carried(estate, 50))
        await estate.processes.kill("shop")
        if cut:
            await estate.links.enable(LINKS[0], False)
        assert await estate.links.mirror("shop", "refused") == ()
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    async def main() -> None:
        async with provision(plan) as estate:
            assert (await answer(estate, cut=False)).endswith(b"shop\n")
        async with provision(plan) as estate:
            assert await answer(estate, cut=True) == b""

    asyncio.run(main())


def test_a_fence_outranks_start_and_every_undo(system: object, provision: Provision) -> None:
    everything = Undo(
        steps=(
            LinkUndo(link=LINKS[0]),
            ToxicUndo(link=LINKS[0], toxic="slow"),
            ToxicUndo(link=LINKS[1], toxic="never there"),
            MirrorUndo(service="shop"),
        )
    )

    async def main() -> None:
        async with provision(system) as estate:  # type: ignore[arg-type]
            await estate.links.enable(LINKS[0], False)
            await estate.links.add_toxic(LINKS[1], Toxic("slow", "latency", "upstream", {"latency": 1}))
            assert await estate.links.fence("shop") == LINKS[:2]
            for _ in range(2):
                await estate.undo(everything)
                await shows(estate, "refused", "refused", "answered")
            await estate.processes.kill("shop")
            await estate.links.mirror("shop", "silent")
            await estate.lifecycle.start("shop")
            await estate.undo(everything)
            await shows(estate, "refused", "refused", "answered")
            assert await look(estate.direct("shop"), ANSWERED_S) == "answered"

    asyncio.run(main())


def test_a_fault_that_ends_connects_nothing_that_somebody_else_has_cut(
    system: object, provision: Provision
) -> None:
    """An isolated attacker is not let in again by a `link.cut` whose `for:` has passed."""

    async def main() -> None:
        async with provision(system) as estate:  # type: ignore[arg-type]
            await estate.links.enable(LINKS[0], False)
            await estate.links.enable(LINKS[0], False, isolating("shop"))
            await estate.undo(Undo(steps=(LinkUndo(link=LINKS[0]),)))
            await shows(estate, "refused", "answered", "answered")
            await estate.links.enable(LINKS[0], True, isolating("shop"))
            await shows(estate, "answered", "answered", "answered")

    asyncio.run(main())


def test_undo_of_one_fault_leaves_the_other(system: object, provision: Provision) -> None:
    async def main() -> None:
        async with provision(system) as estate:  # type: ignore[arg-type]
            await estate.links.enable(LINKS[0], False)
            await estate.processes.kill("shop")
            assert await estate.links.mirror("shop", "refused") == LINKS[1:2]  # the cut one has its fault
            await estate.undo(Undo(steps=(LinkUndo(link=LINKS[0]),)))
            await shows(estate, "refused", "refused", "answered")  # its callee is dead all the same
            await estate.lifecycle.start("shop")
            await estate.links.add_toxic(LINKS[0], Toxic("mute", "timeout", "downstream", {"timeout": 0}))
            await shows(estate, "silent", "answered", "answered")
            undo = Undo(steps=(ToxicUndo(link=LINKS[0], toxic="mute"),))
            await estate.undo(undo)
            await estate.undo(undo)
            await shows(estate, "answered", "answered", "answered")

    asyncio.run(main())
