"""The load as a process: open loop, seeded, retrying under the same key, and recorded whatever kills it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from chaoskit.clock import monotonic_ns
from chaoskit.conductor.attempt import Attempt
from chaoskit.conductor.journal import MISSED_LATE, MISSED_OUTSTANDING, JournalReader
from chaoskit.conductor.request import Identity, Request
from chaoskit.conductor.task import MeasurerTask, RetryPolicy
from chaoskit.model.history import Operation
from chaoskit.quantity import Duration, Rate
from tests.conductor.measuring import StubBank, journeys, measurer, open_bank, run, task

SERVER = Path(__file__).parents[1] / "known_outages" / "server.py"


def firsts(reader: JournalReader) -> list[Operation]:
    return [o for o in reader.operations() if o.attempt == 1 and not o.tap]


def by_key(reader: JournalReader) -> dict[str, list[Operation]]:
    found: dict[str, list[Operation]] = defaultdict(list)
    for operation in reader.operations():
        found[operation.key].append(operation)
    return found


def test_a_load_runs_and_ends_when_told(tmp_path: Path) -> None:
    async def test() -> None:
        rates = {"transfer": Rate.parse("60/s"), "balance": Rate.parse("40/s")}
        async with (
            open_bank(StubBank()) as bank,
            measurer(task(tmp_path, bank.port, rates=rates)) as load,
        ):
            await bank.received(150)
            assert await load.stop() == 0
            reader = load.reader
            operations = firsts(reader)
            assert reader.problems == []
            assert reader.header is not None
            assert reader.end is not None
            assert reader.end["scheduled"] == reader.end["sent"] == len(operations)
            assert set(reader.end["late_ms"]) == {"p50", "p99", "max"}
            assert {operation.outcome for operation in operations} == {"ok"}
            assert {operation.journey for operation in operations} == {"transfer", "balance"}
            assert len({operation.key for operation in operations}) == len(operations)
            for operation in operations:
                assert operation.intended <= (operation.sent or 0) <= (operation.done or 0)

    run(test)


def test_the_same_seed_asks_for_the_same_at_the_same_time(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()

    async def one(folder: Path) -> list[tuple[int, str, dict[str, str], str | None]]:
        async with open_bank(StubBank()) as bank, measurer(task(folder, bank.port)) as load:
            await bank.received(40)
            await load.stop()
            start = int((load.reader.header or {})["start_at"])
            return [(o.intended - start, o.key, o.values, o.payload_hash) for o in firsts(load.reader)][:40]

    async def test() -> None:
        first, second = await asyncio.gather(*(one(folder) for folder in folders))
        assert first == second

    run(test)


def test_an_unknown_payment_is_sent_again_under_its_key_with_its_payload(tmp_path: Path) -> None:
    async def test() -> None:
        seen: set[bytes] = set()

        def first_time_503(body: bytes) -> int:
            if body in seen:
                return 201
            seen.add(body)
            return 503

        retry = RetryPolicy(backoff=Duration.parse("20ms"))
        async with (
            open_bank(StubBank(first_time_503)) as bank,
            measurer(task(tmp_path, bank.port, retry=retry, double_taps=0.0)) as load,
        ):
            await bank.received(60)
            assert await load.stop() == 0
            twice = {key: own for key, own in by_key(load.reader).items() if len(own) > 1}
            assert len(twice) >= 25  # all but those that were on their way when the end came
            for key, attempts in twice.items():
                assert [o.attempt for o in attempts] == [1, 2]
                assert [o.outcome for o in attempts] == ["unknown", "ok"]
                assert len({o.payload_hash for o in attempts}) == 1
                bodies = [body for _, body in bank.requests if json.loads(body)["id"] == key]
                assert len(bodies) == 2
                assert bodies[0] == bodies[1]

    run(test)


def test_retries_are_bounded_and_reads_are_not_retried(tmp_path: Path) -> None:
    async def test() -> None:
        retry = RetryPolicy(attempts=3, backoff=Duration.parse("10ms"), factor=1.0)
        rates = {"transfer": Rate.parse("20/s"), "balance": Rate.parse("20/s")}
        async with (
            open_bank(StubBank(lambda body: 503)) as bank,
            measurer(task(tmp_path, bank.port, retry=retry, rates=rates)) as load,
        ):
            await bank.received(100)
            assert await load.stop() == 0
            counts = {("transfer", 3): 0, ("balance", 1): 0}
            for attempts in by_key(load.reader).values():
                journey, sent = attempts[0].journey, len(attempts)
                assert (journey, sent) in counts or (journey == "transfer" and sent == 2)  # cut by the end
                counts[journey, sent] = counts.get((journey, sent), 0) + 1
            assert counts["transfer", 3] > 5
            assert counts["balance", 1] > 5

    run(test)


def test_a_refused_connection_is_a_certain_failure_and_not_retried(tmp_path: Path) -> None:
    async def test() -> None:
        async with open_bank(StubBank()) as bank:
            port = bank.port
        async with measurer(task(tmp_path, port)) as load:
            await load.until(lambda reader: len(reader.operations()) > 20)
            assert await load.stop() == 0
            operations = load.reader.operations()
            assert {(o.outcome, o.attempt) for o in operations} == {("fail", 1)}
            assert all(o.sent is not None and o.done is not None for o in operations)
            assert all((o.error or "").startswith("connect: ") for o in operations)

    run(test)


def test_double_taps_repeat_acknowledged_payments(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            open_bank(StubBank()) as bank,
            measurer(task(tmp_path, bank.port, double_taps=0.5)) as load,
        ):
            await load.until(lambda reader: sum(o.tap for o in reader.operations()) >= 10)
            assert await load.stop() == 0
            taps = [attempts for attempts in by_key(load.reader).values() if attempts[-1].tap]
            for attempts in taps:
                assert [(o.attempt, o.tap) for o in attempts] == [(1, False), (2, True)]
                assert attempts[1].payload_hash == attempts[0].payload_hash
                assert (attempts[1].sent or 0) > (attempts[0].done or 0)
                bodies = [body for _, body in bank.requests if json.loads(body)["id"] == attempts[0].key]
                assert len(bodies) == 2
                assert bodies[0] == bodies[1]

    run(test)


def test_used_keys_are_sent_with_another_payload_where_the_journey_binds_its_keys(tmp_path: Path) -> None:
    bound = {**journeys(), "transfer": journeys()["transfer"].model_copy(update={"bound_key": True})}

    async def test() -> None:
        async with (
            open_bank(StubBank()) as bank,
            measurer(task(tmp_path, bank.port, journeys=bound, double_taps=0.0, misuse_every=2)) as load,
        ):
            await load.until(lambda reader: sum(o.other for o in reader.operations()) >= 10)
            assert await load.stop() == 0
            misused = [attempts for attempts in by_key(load.reader).values() if attempts[-1].other]
            for first, other in misused:
                assert (other.attempt, other.tap) == (2, True)
                assert other.payload_hash != first.payload_hash
                assert other.values != first.values
                assert (other.sent or 0) > (first.done or 0)
                bodies = [
                    json.loads(body) for _, body in bank.requests if json.loads(body)["id"] == first.key
                ]
                assert len(bodies) == 2
                assert bodies[1]["amount"] == f"{(other.amount or 0) // 100}.{(other.amount or 0) % 100:02d}"

    run(test)


def test_the_first_acknowledged_key_is_misused_so_that_a_short_run_judges_something(tmp_path: Path) -> None:
    bound = {**journeys(), "transfer": journeys()["transfer"].model_copy(update={"bound_key": True})}

    async def test() -> None:
        async with (
            open_bank(StubBank()) as bank,
            measurer(task(tmp_path, bank.port, journeys=bound, double_taps=0.0, misuse_every=10_000)) as load,
        ):
            await load.until(lambda reader: any(o.other for o in reader.operations()))
            assert await load.stop() == 0
            assert sum(o.other for o in load.reader.operations()) == 1

    run(test)


def test_keys_that_are_not_bound_are_never_misused(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            open_bank(StubBank()) as bank,
            measurer(task(tmp_path, bank.port, double_taps=0.5, misuse_every=1)) as load,
        ):
            await load.until(lambda reader: sum(o.tap for o in reader.operations()) >= 10)
            assert await load.stop() == 0
            assert not any(o.other for o in load.reader.operations())

    run(test)


def test_one_in_a_hundred_is_tapped() -> None:
    identity = Identity("load", 1)
    share = sum(
        Attempt(
            Request("transfer", identity.key("transfer", n), b"", None, None, None, {}), 1, False, 0
        ).chance("tap")
        < MeasurerTask.model_fields["double_taps"].default
        for n in range(40_000)
    )
    assert 320 < share < 480  # 400 ± 4 standard errors


def test_a_two_second_freeze_is_counted_as_customers_felt_it(tmp_path: Path) -> None:
    """Open loop: whoever came while the server was stopped waited, and is counted, answered or not."""

    async def test() -> None:
        server = await asyncio.create_subprocess_exec(
            sys.executable, str(SERVER), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert server.stdout is not None
            port = json.loads(await server.stdout.readline())["port"]
            told = task(tmp_path, port, within="500ms", rates={"balance": Rate.parse("200/s")})
            async with measurer(told) as load:
                await load.until(lambda reader: sum(o.outcome == "ok" for o in reader.operations()) > 50)
                frozen = monotonic_ns()
                server.send_signal(signal.SIGSTOP)
                await asyncio.sleep(2)
                thawed = monotonic_ns()
                server.send_signal(signal.SIGCONT)
                await load.until(lambda reader: reader.operations()[-1].intended > thawed + 200_000_000)
                assert await load.stop() == 0
                affected = [o for o in firsts(load.reader) if frozen < o.intended < thawed - 500_000_000]
                bad = [o for o in affected if o.outcome != "ok" or (o.done or 0) - o.intended > 500_000_000]
                assert len(affected) > 200
                assert len(bad) >= 0.95 * len(affected)
        finally:
            server.kill()
            await server.communicate()

    run(test)


def test_told_to_stop_it_waits_for_answers_and_sends_pending_retries(tmp_path: Path) -> None:
    async def test() -> None:
        retry = RetryPolicy(backoff=Duration.parse("20s"))  # pending when the end comes
        slow = StubBank(lambda body: 503, delay_s=0.3)
        async with open_bank(slow) as bank, measurer(task(tmp_path, bank.port, retry=retry)) as load:
            await load.until(lambda reader: sum(o.done is not None for o in reader.operations()) > 10)
            assert await load.stop() == 0
            reader = load.reader
            assert reader.end is not None
            assert (reader.problems, reader.outstanding) == ([], 0)
            assert sum(o.attempt == 2 for o in reader.operations()) > 10
            assert all(o.done is not None for o in reader.operations())

    run(test)


def test_killed_it_leaves_what_it_had_sent(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            open_bank(StubBank(lambda body: None)) as bank,
            measurer(task(tmp_path, bank.port)) as load,
        ):
            await bank.received(30)
            load.process.kill()
            await load.ended()
            reader = load.reader
            assert (reader.end, reader.problems) == (None, [])
            recorded = {o.key for o in reader.operations() if o.outcome == "unknown" and o.sent is not None}
            assert {json.loads(body)["id"] for _, body in bank.requests} <= recorded

    run(test)


def test_an_arrival_beyond_the_outstanding_limit_is_missed_not_silent(tmp_path: Path) -> None:
    async def test() -> None:
        told = task(tmp_path, 0, outstanding_max=5, within="1s")
        async with open_bank(StubBank(lambda body: None)) as bank:
            told = told.model_copy(update={"targets": {"bank": ("127.0.0.1", bank.port)}})
            async with measurer(told) as load:
                await load.until(lambda reader: len(reader.operations()) > 30)
                assert await load.stop() == 0
                missed = [o for o in load.reader.operations() if o.sent is None]
                assert missed
                assert {o.error for o in missed} == {MISSED_OUTSTANDING}
                assert load.reader.problems == []

    run(test)


def test_stopped_and_continued_it_makes_no_burst(tmp_path: Path) -> None:
    async def test() -> None:
        late_max = Duration.parse("100ms")
        async with (
            open_bank(StubBank()) as bank,
            measurer(
                task(tmp_path, bank.port, rates={"balance": Rate.parse("200/s")}, late_max=late_max)
            ) as load,
        ):
            await bank.received(50)
            load.process.send_signal(signal.SIGSTOP)
            stopped = monotonic_ns()
            await asyncio.sleep(1)
            load.process.send_signal(signal.SIGCONT)
            await load.until(lambda reader: reader.operations()[-1].intended > stopped + 1_200_000_000)
            assert await load.stop() == 0
            missed = [o for o in load.reader.operations() if o.error == MISSED_LATE]
            assert len(missed) > 100
            assert load.reader.longest_silence_ns > 900_000_000
            assert (load.reader.end or {})["missed"] == len(missed)

    run(test)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "standard input"),
        ("{}", "standard input"),
        ('{"source": "nobody"}', "standard input"),
    ],
)
def test_a_wrong_task_is_refused(text: str, words: str) -> None:
    argv = [sys.executable, "-m", "chaoskit.conductor.load"]
    ended = subprocess.run(argv, input=text, text=True, capture_output=True, timeout=30)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_journal_that_cannot_be_written_ends_with_3(tmp_path: Path) -> None:
    told = task(tmp_path / "missing", 1)
    argv = [sys.executable, "-m", "chaoskit.conductor.load"]
    ended = subprocess.run(argv, input=told.model_dump_json(), text=True, capture_output=True, timeout=30)
    assert ended.returncode == 3
    assert str(told.journal) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_task_for_the_other_measurer_is_refused(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "chaoskit.conductor.prober"]
    ended = subprocess.run(
        argv, input=task(tmp_path, 1).model_dump_json(), text=True, capture_output=True, timeout=30
    )
    assert (ended.returncode, "for the load" in ended.stderr) == (2, True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rates": {}}, "no journey to drive"),
        ({"rates": {"nobody": Rate.parse("1/s")}}, "no such journey: nobody"),
        ({"targets": {}}, "no target for: bank"),
    ],
)
def test_an_incomplete_task_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        task(tmp_path, 1, **changes)
