"""One measurement at a time on a machine, whatever becomes of who measures."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.queue_file import Ticket
from chaoskit.runtimes.slot import Slot
from chaoskit.runtimes.supervision import own_environment
from tests.runtimes.local.conftest import eventually

HOLD = """
import asyncio, sys, time
from pathlib import Path
from chaoskit.runtimes.queue_file import Ticket
from chaoskit.runtimes.slot import Slot
asyncio.run(Slot("the other", folder=Path(sys.argv[1])).acquire())
print("held", flush=True)
time.sleep(60)
"""
QUEUE_UP = """
import sys, time
from pathlib import Path
from chaoskit.runtimes.queue_file import Ticket
ticket = Ticket(Path(sys.argv[1]))
assert ticket.draw()
print(ticket.number, flush=True)
time.sleep(60)
"""


def test_they_measure_in_turn(tmp_path: Path) -> None:
    inside: list[str] = []

    async def one(name: str) -> None:
        async with Slot(name, 30, folder=tmp_path):
            inside.append(name)
            assert len(inside) == 1
            await asyncio.sleep(0)
            inside.remove(name)

    async def main() -> None:
        await asyncio.gather(*(one(f"run-{number}") for number in range(8)))

    asyncio.run(main())


def test_who_waits_too_long_is_told_who_holds_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with Slot("first", folder=tmp_path):
            with pytest.raises(EnvironmentBroken, match=rf"run first \(pid {os.getpid()}\) holds it"):
                await Slot("second", 0.05, folder=tmp_path).acquire()
        async with Slot("second", 1, folder=tmp_path):
            pass

    asyncio.run(main())


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=own_environment()
    )

    async def main() -> None:
        with pytest.raises(EnvironmentBroken, match="the other"):
            await Slot("mine", 0.05, folder=tmp_path).acquire()
        waiting = asyncio.create_task(Slot("mine", 30, folder=tmp_path).acquire())
        await asyncio.sleep(0)
        holder.send_signal(signal.SIGKILL)
        await eventually(waiting.done)
        await waiting

    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        asyncio.run(main())


def test_waiting_can_be_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with Slot("first", folder=tmp_path):
            waiting = asyncio.create_task(Slot("second", 30, folder=tmp_path).acquire())
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        async with Slot("third", 1, folder=tmp_path):
            pass

    asyncio.run(main())


def test_a_lock_that_may_not_be_opened_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "chaoskit-slot.lock").mkdir()
    with pytest.raises(EnvironmentBroken, match="CHAOSKIT_LOCK_DIR"):
        asyncio.run(Slot("mine", folder=tmp_path).acquire())


def test_first_come_first_served(tmp_path: Path) -> None:
    """Waiters get it in the order in which they came, and hear for whom they wait."""
    order: list[int] = []
    heard: list[tuple[str, int]] = []

    async def one(number: int) -> None:
        slot = Slot(f"run-{number}", 30, folder=tmp_path)
        if number == 5:
            slot.tell = lambda whom, before: heard.append((whom, before))
        async with slot:
            order.append(number)

    async def main() -> None:
        async with Slot("first", folder=tmp_path):
            waiting = []
            for number in range(6):
                waiting.append(asyncio.create_task(one(number)))
                await asyncio.sleep(0)
            given_up = waiting.pop(2)
            await eventually(lambda: bool(heard))
            given_up.cancel()
            await eventually(lambda: heard[-1][1] == 4)
        await asyncio.gather(*waiting)

    asyncio.run(main())
    assert order == [0, 1, 3, 4, 5]
    assert heard[0] == (f"run first (pid {os.getpid()})", 5)


def test_a_waiter_that_is_killed_is_in_nobodys_way(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", QUEUE_UP, str(tmp_path / "queue")],
        stdout=subprocess.PIPE,
        text=True,
        env=own_environment(),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        ours = Ticket(tmp_path / "queue")
        assert ours.draw()
        assert (ours.number, ours.before()) == (2, 1)
    finally:
        process.kill()
        process.communicate()
    assert ours.before() == 0
    ours.close()
