"""A journey by a class of one's own: whatever it does is recorded, and the measurer lives on or says why not."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chaoskit.conductor.journal import JournalReader
from chaoskit.conductor.task import MeasurerTask
from chaoskit.metrics.arrivals import arrivals_of
from chaoskit.model.history import MEASURER_AT_FAULT, Operation
from chaoskit.model.system import Good, Journey
from chaoskit.quantity import Duration, Rate
from tests.conductor.measuring import measurer, probes, run, task

FOLDER = Path(__file__).parent / "own"


class Echo:
    """Answers each line; `connections` counts them, `mute` closes instead of answering."""

    def __init__(self) -> None:
        self.connections = 0
        self.lines: list[bytes] = []
        self.mute = False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while (line := await reader.readline()) and not self.mute:
            self.lines.append(line)
            writer.write(b"taken\n")
        writer.close()


@asynccontextmanager
async def echo() -> AsyncIterator[Echo]:
    own = Echo()
    server = await asyncio.start_server(own.serve, "127.0.0.1", 0)
    own.port = server.sockets[0].getsockname()[1]
    try:
        yield own
    finally:
        server.close()


def journeys(name: str, within: str = "2s", **more: Any) -> dict[str, Any]:
    journey = Journey(
        class_=f"journeys.py:{name}",
        on="bank",
        draw={"account": "accounts"},
        books="ledger",
        good=Good(within=Duration.parse(within)),
        **more,
    )
    return {
        "journeys": {"own": journey},
        "rates": {"own": Rate.parse("40/s")},
    }


def own_task(place: Path, port: int, fields: dict[str, Any]) -> MeasurerTask:
    """A task whose classes are those of the folder `own`."""
    return task(place, port, **fields).model_copy(update={"folder": str(FOLDER)})


def firsts(reader: JournalReader) -> list[Operation]:
    return [o for o in reader.operations() if o.attempt == 1 and not o.tap]


async def load_of(
    folder: Path, name: str, count: int = 12, port: int | None = None, **more: Any
) -> list[Operation]:
    async with echo() as bank:
        told = own_task(folder, port or bank.port, journeys(name, **more))
        async with measurer(told) as load:
            await load.until(lambda reader: sum(o.done is not None for o in reader.operations()) >= count)
            assert await load.stop() == 0
            assert load.reader.problems == []
            return [o for o in load.reader.operations() if o.done is not None]


def test_a_load_uses_its_connections_again_and_a_prober_never(tmp_path: Path) -> None:
    async def test() -> None:
        async with echo() as bank:
            async with measurer(
                own_task(tmp_path, bank.port, journeys("Fine", with_={"greeting": "hi "}))
            ) as load:
                await load.until(lambda reader: len(reader.operations()) > 30)
                assert await load.stop() == 0
            assert {o.outcome for o in load.reader.operations()} == {"ok"}
            assert {o.read["value"] for o in load.reader.operations()} == {"taken"}
            assert all(line.startswith(b"hi ") for line in bank.lines)
            assert bank.connections < 15
            begun, bank.connections = len(bank.lines), 0
            told = own_task(tmp_path, bank.port, journeys("Fine") | probes("50ms", "own"))
            async with measurer(told) as prober:
                await prober.until(lambda reader: len(reader.operations()) > 10)
                assert await prober.stop() == 0
            assert bank.connections == len(bank.lines) - begun

    run(test)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Leaving", "raised: SystemExit: 7"),
        ("Wordless", "raised: TypeError: attempt returned 'ok', not an Answer"),
    ],
)
def test_whatever_it_raises_is_unknown_and_said(tmp_path: Path, name: str, error: str) -> None:
    async def test() -> None:
        operations = await load_of(tmp_path, name)
        assert {(o.outcome, o.error) for o in operations} == {("unknown", error)}
        assert any(o.attempt > 1 for o in operations)  # in doubt, so it is sent again under its key

    run(test)


def test_a_refused_connection_is_a_certain_failure(tmp_path: Path) -> None:
    async def test() -> None:
        async with echo() as closed:
            port = closed.port
        operations = await load_of(tmp_path, "Fine", port=port)
        assert {o.outcome for o in operations} == {"fail"}
        assert all((o.error or "").startswith("connect: ConnectionRefusedError") for o in operations)

    run(test)


def test_a_connection_that_ends_is_in_doubt(tmp_path: Path) -> None:
    async def test() -> None:
        async with echo() as bank:
            bank.mute = True
            operations = await load_of(tmp_path, "Fine", port=bank.port)
        assert {o.outcome for o in operations} == {"unknown"}

    run(test)


def test_an_attempt_ends_at_its_limit_whether_it_heeds_that_or_not(tmp_path: Path) -> None:
    async def test() -> None:
        operations = await load_of(tmp_path, "Stubborn", within="200ms")
        assert {o.error for o in operations} == {"limit: no whole answer within the limit"}
        assert all((o.done or 0) - (o.woke or 0) >= 200_000_000 for o in operations)

    run(test)


def test_one_that_holds_the_loop_is_the_measurers_fault_on_record(tmp_path: Path) -> None:
    async def test() -> None:
        operations = await load_of(tmp_path, "Blocking", count=4)
        assert {o.outcome for o in operations} == {"unknown"}
        assert all(MEASURER_AT_FAULT in (o.error or "") for o in operations)
        arrivals = arrivals_of(operations, "own", "load", 2_000_000_000)
        assert all(arrival.asleep for arrival in arrivals)

    run(test)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"class_": "journeys.py:Nobody"}, "defines no class 'Nobody'; it has: Fine"),
        ({"class_": "nowhere.py:Fine"}, "No such file"),
        ({"class_": "nobody"}, "no entry point of chaoskit.journeys is called 'nobody'"),
        ({"class_": "journeys.py:Synchronous"}, "needs `async def connect(self, …)`"),
        ({"with_": {"colour": "red"}}, "cannot be made: TypeError"),
    ],
)
def test_a_class_that_cannot_be_used_is_refused_before_there_is_a_journal(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    fields = journeys("Fine")
    fields["journeys"] = {"own": fields["journeys"]["own"].model_copy(update=changes)}
    told = own_task(tmp_path, 1, fields)
    done = subprocess.run(
        [sys.executable, "-m", "chaoskit.conductor.load"],
        input=told.model_dump_json(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert not told.journal.exists()


def read_books(folder: Path, own: str) -> dict[str, Any]:
    (folder / "books.py").write_text(own)
    told = {
        "class": "books.py:Own",
        "folder": str(folder),
        "with": {},
        "estate": {"bank": ["127.0.0.1", 1]},
        "target": str(folder / "taken"),
        "within_s": 5,
    }
    subprocess.run(
        [sys.executable, "-m", "chaoskit.conductor.own_books"],
        input=json.dumps(told),
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, Any] = json.loads((folder / "taken" / "taken.json").read_text())
    return found


def test_books_of_ones_own_are_kept_with_a_digest_that_no_order_changes(tmp_path: Path) -> None:
    text = "class Own:\n    async def read(self, estate):\n        return {'keys': %s}\n"
    one = read_books(tmp_path, text % "[{'key': 'a'}, {'key': 'b', 'amount': 5}]")
    other = read_books(tmp_path, text % "[{'key': 'b', 'amount': 5}, {'key': 'a'}]")
    less = read_books(tmp_path, text % "[{'key': 'a'}]")
    assert one == other
    assert one["rows"] == {"keys": 2}
    assert less["digest"] != one["digest"]
    assert (tmp_path / "taken" / "keys.parquet").exists()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise ConnectionError('gone')", "ConnectionError: gone"),
        ("return ['a']", 'read() must return {"keys": rows}'),
        ("return {'keys': [{'kee': 'a'}]}", "no column is called kee"),
        ("return {'keys': ['a']}", "'a' is no row"),
        ("return {'keys': [{'key': 'a', 'amount': 'much'}]}", "a value has the wrong type"),
        ("return {'keys': [], 'entries': []}", "`keys` alone"),
    ],
)
def test_books_that_cannot_be_read_say_why(tmp_path: Path, body: str, says: str) -> None:
    found = read_books(tmp_path, f"class Own:\n    async def read(self, estate):\n        {body}\n")
    assert says in found["error"]
