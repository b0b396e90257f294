"""The alarm and the claims a measurer makes on the machine."""

from __future__ import annotations

import asyncio
import time

import uvloop

from chaoskit.conductor.precision import Alarm


def test_an_alarm_rings_once_and_never_early() -> None:
    async def run() -> list[int]:
        early: list[int] = []
        rang = asyncio.Event()
        alarm = Alarm(asyncio.get_running_loop(), rang.set)
        for gap_ns in (0, 1, 50_000, 999_999, 1_000_001, 30_000_000):
            rang.clear()
            due = time.monotonic_ns() + gap_ns
            alarm.set(due)
            async with asyncio.timeout(10):
                await rang.wait()
            early.append(time.monotonic_ns() - due)
        rang.clear()
        await asyncio.sleep(0.05)
        assert not rang.is_set()
        alarm.close()
        return early

    assert all(late >= 0 for late in uvloop.run(run()))


def test_setting_an_alarm_again_replaces_it() -> None:
    async def run() -> None:
        rings = 0

        def ring() -> None:
            nonlocal rings
            rings += 1

        alarm = Alarm(asyncio.get_running_loop(), ring)
        alarm.set(time.monotonic_ns() + 20_000_000)
        alarm.set(time.monotonic_ns() + 3_600_000_000_000)
        await asyncio.sleep(0.1)
        alarm.close()
        assert rings == 0

    uvloop.run(run())


def test_a_time_that_has_passed_rings_at_once() -> None:
    async def run() -> None:
        rang = asyncio.Event()
        alarm = Alarm(asyncio.get_running_loop(), rang.set)
        alarm.set(-5)
        async with asyncio.timeout(10):
            await rang.wait()
        alarm.close()

    uvloop.run(run())
