"""The prober as a process: on its period, never held up by a probe that hangs, and honest about its own lateness."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from chaoskit.clock import monotonic_ns
from chaoskit.conductor.journal import MISSED_LATE
from tests.conductor.measuring import StubBank, measurer, open_bank, probes, run, task

PERIOD_NS = 20_000_000


def test_probes_come_on_their_period_and_phase(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            open_bank(StubBank()) as bank,
            measurer(task(tmp_path, bank.port, **probes("20ms", "transfer", "balance"))) as prober,
        ):
            await bank.received(60)
            assert await prober.stop() == 0
            header, operations = prober.reader.header, prober.reader.operations()
            assert header is not None
            assert prober.reader.problems == []
            for phase, journey in enumerate(("transfer", "balance")):
                own = [
                    o.intended - header["start_at"] - phase * 1_000_000
                    for o in operations
                    if o.journey == journey
                ]
                assert own == [n * PERIOD_NS for n in range(len(own))]

    run(test)


def test_a_probe_has_its_own_draws_and_keys(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            open_bank(StubBank()) as bank,
            measurer(task(tmp_path, bank.port, **probes("20ms", "transfer"))) as prober,
        ):
            await bank.received(20)
            assert await prober.stop() == 0
            for operation in prober.reader.operations():
                assert operation.source == "prober"
                assert operation.values["payer"].startswith("PRB-")
                assert operation.values["payee"] != operation.values["payer"]
            keys = [json.loads(body)["id"] for _, body in bank.requests]
            assert len(set(keys)) == len(keys)

    run(test)


def test_probes_that_hang_delay_no_other_and_are_not_repeated(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            open_bank(StubBank(lambda body: None)) as bank,
            measurer(task(tmp_path, bank.port, within="1s", **probes("20ms", "transfer"))) as prober,
        ):
            await bank.received(60)
            assert await prober.stop() == 0
            tried = [o for o in prober.reader.operations() if o.sent is not None]
            assert {o.attempt for o in tried} == {1}
            # this process is the bank, too: where it was too busy to accept, a probe could not connect
            operations = [o for o in tried if not (o.error or "").startswith("connect")]
            assert len(operations) > 30
            endings = {(o.outcome, (o.error or "").partition(":")[0]) for o in operations}
            assert endings == {("unknown", "limit")}
            assert all((o.done or 0) - (o.woke or 0) >= 1_000_000_000 for o in operations)
            late = sorted(prober.reader.late_ns)
            assert late[len(late) // 2] < PERIOD_NS  # the median, so that a busy machine does not matter

    run(test)


def test_a_stopped_prober_shows(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            open_bank(StubBank()) as bank,
            measurer(task(tmp_path, bank.port, **probes("20ms", "transfer"))) as prober,
        ):
            await bank.received(20)
            prober.process.send_signal(signal.SIGSTOP)
            stopped = monotonic_ns()
            await asyncio.sleep(1)
            continued = monotonic_ns()
            prober.process.send_signal(signal.SIGCONT)
            await prober.until(lambda reader: reader.operations()[-1].intended > continued + 200_000_000)
            assert await prober.stop() == 0
            reader = prober.reader
            asleep = [
                o for o in reader.operations() if stopped + PERIOD_NS < o.intended < continued - 2 * PERIOD_NS
            ]
            assert len(asleep) > 40
            assert all(o.sent is None and o.error == MISSED_LATE for o in asleep)
            assert reader.longest_silence_ns > 900_000_000
            assert (reader.end or {})["missed"] >= len(asleep)

    run(test)


def test_stopped_and_killed_it_has_no_end_and_its_last_sign_tells_when(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            open_bank(StubBank()) as bank,
            measurer(task(tmp_path, bank.port, **probes("20ms", "transfer"))) as prober,
        ):
            await bank.received(60)
            prober.process.send_signal(signal.SIGSTOP)
            stopped = monotonic_ns()
            prober.process.kill()
            await prober.ended()
            reader = prober.reader
            assert (reader.end, reader.problems) == (None, [])
            assert reader.last_beat is not None
            assert reader.last_beat["t"] <= stopped + 1_000_000_000

    run(test)
