"""The entries from before the fault: kept once, of each ledger, only when asked for, and never half."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chaoskit.clock import monotonic_ns
from chaoskit.conductor import collect_before
from chaoskit.conductor.ending import Ending
from chaoskit.conductor.leases import LeaseBook
from chaoskit.conductor.observation import Observation
from chaoskit.conductor.recorder import Recorder
from chaoskit.conductor.stage import Stage
from chaoskit.engines.books import Snapshot
from chaoskit.engines.postgresql import Standing
from chaoskit.engines.session import Unreachable
from chaoskit.model.estate import Address
from chaoskit.model.history import Event
from chaoskit.model.system import Books, DatabaseRole
from tests.conductor.fake_estate import FakeEstate, World
from tests.conductor.staging import FakeRegistry, fault, plan_of, play
from tests.conductor.virtual_loop import VirtualLoop, run

CHECK = "entries-unchanged"
ROLE = DatabaseRole(engine="postgresql", primary="db", standby="db-standby", database="d", user="u")
LEDGER = Books(on="database", entries="entries.sql", balances="balances.sql")


@dataclass
class FakeEngine:
    """The primary; notes what it is asked for."""

    error: Exception | None = None
    takes_s: float = 0.0
    asked: list[Mapping[str, str]] = field(default_factory=list)

    async def standing(self, within_s: float) -> Standing:
        return Standing(False, 1, "0/1", "id")

    async def writable(self, within_s: float) -> bool:
        raise AssertionError("nobody writes into the books before the fault")

    async def snapshot(self, queries: Mapping[str, str], folder: Path, within_s: float) -> Snapshot:
        self.asked.append(queries)
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a fake
        (folder / "entries.parquet").write_text("rows")
        await asyncio.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        return Snapshot("abc", {"entries": 7}, False, "0/2")


def asking(plan: Any, folder: Path, *checks: str, books: Mapping[str, Books] | None = None) -> Any:
    """The plan, of a bank with a ledger, whose drill names these checks."""
    for name in ("entries", "balances"):
        (folder / f"{name}.sql").write_text(f"select {name}")
    more = {"folder": str(folder), "roles": {"database": ROLE}, "books": dict(books or {"ledger": LEDGER})}
    drill = plan.drill.model_copy(update={"checks": checks})
    return plan.model_copy(update={"system": plan.system.model_copy(update=more), "drill": drill})


def taken(
    folder: Path, engine: FakeEngine, *checks: str, books: Mapping[str, Books] | None = None
) -> tuple[bool, list[dict[str, Any]], list[str]]:
    """Whether anything was done, what was recorded of it, and from which members."""
    asked: list[str] = []

    def engine_for(address: Address, role: DatabaseRole) -> FakeEngine:
        asked.append(address.host)
        return engine

    async def work(loop: VirtualLoop) -> tuple[bool, list[dict[str, Any]], list[str]]:
        plan = asking(plan_of(fault()), folder, *checks, books=books)
        estate = FakeEstate(World(loop), plan, "run-1", folder)
        estate.direct = lambda service: Address(service, 1)  # type: ignore[method-assign]
        heard: list[Event] = []
        recorder = Recorder(folder / "events.jsonl", loop.clock, heard.append)
        done = await collect_before.collect_before(
            stage_of(plan, estate, recorder, loop.clock, folder), folder, engine_for
        )
        recorder.close()
        return done, [event.data for event in heard if event.kind == "collect.before"], asked

    return run(work)


def stage_of(plan: Any, estate: Any, recorder: Recorder, clock: Any, folder: Path) -> Stage:
    return Stage(plan, estate, FakeRegistry(), recorder, clock, LeaseBook(folder), Ending(), Observation(()))


def left(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in (folder / "books").rglob("*") if p.is_file())


def test_the_primarys_entries_once_and_nothing_else(tmp_path: Path) -> None:
    engine = FakeEngine(takes_s=0.5)
    done, told, members = taken(tmp_path, engine, "books-balance", CHECK)
    assert (done, members) == (True, ["db"])
    assert engine.asked == [{"entries": "select entries"}]
    (event,) = told
    begun, took = event.pop("begun"), event.pop("took_ns")
    assert event == {"books": "ledger", "member": "db", "entries": 7, "digest": "abc", "lsn": "0/2"}
    assert begun >= 0
    assert took == pytest.approx(0.5e9)
    assert left(tmp_path) == ["books/ledger/before.parquet"]
    assert [path.name for path in (tmp_path / "books/ledger").iterdir()] == ["before.parquet"]


def test_a_drill_that_does_not_ask_pays_nothing(tmp_path: Path) -> None:
    engine = FakeEngine()
    assert taken(tmp_path, engine, "books-balance") == (False, [], [])
    assert engine.asked == []
    assert not (tmp_path / "books").exists()


def test_books_without_entries_have_none_to_keep(tmp_path: Path) -> None:
    keys = Books(on="database", keys="entries.sql")
    assert taken(tmp_path, FakeEngine(), CHECK, books={"orders": keys}) == (False, [], [])


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        (FakeEngine(error=Unreachable("db:1: server closed the connection")), "server closed the connection"),
        (FakeEngine(error=OSError("No space left on device")), "No space left"),
        (FakeEngine(takes_s=100_000.0), "not read within"),
    ],
    ids=["closed", "full", "endless"],
)
def test_what_could_not_be_taken_is_told_and_no_half_is_kept(
    engine: FakeEngine, why: str, tmp_path: Path
) -> None:
    done, (event,), _ = taken(tmp_path, engine, CHECK)
    assert done
    assert why in event["why"]
    assert "entries" not in event
    assert left(tmp_path) == []


def test_a_query_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    gone = Books(on="database", entries="gone.sql", balances="balances.sql")
    _, (event,), _ = taken(tmp_path, FakeEngine(), CHECK, books={"ledger": gone})
    assert "gone.sql" in event["why"]


OWN = """
class Ledger:
    async def read(self, estate):
        leg = {"entry_id": "1", "transaction_id": "t1", "key": "k1", "account": "A", "amount": 5, "currency": "CNY"}
        return {"entries": [leg, {**leg, "entry_id": "2", "amount": -5}], "balances": []}

class Shop:
    async def read(self, estate):
        return {"keys": [{"key": "k1"}]}

class Down:
    async def read(self, estate):
        raise OSError("nobody answers")
"""


class Spawning:
    """An estate that only starts helpers, for real."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def direct(self, service: str) -> Address:
        return Address("127.0.0.1", 1)

    async def spawn(self, name: str, argv: tuple[str, ...], stdin: bytes) -> Any:
        self.names.append(name)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *argv[1:], stdin=asyncio.subprocess.PIPE
        )
        await process.communicate(stdin)

        class Helper:
            async def exited(self) -> int | None:
                return process.returncode

        return Helper()


def test_books_of_ones_own_are_read_in_their_own_process_and_their_entries_kept(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    names = ("Ledger", "Shop", "Down")
    books = {name.lower(): Books(class_=f"own.py:{name}") for name in names}
    plan = asking(plan_of(fault()), tmp_path, CHECK, books=books)
    heard: list[Event] = []
    recorder = Recorder(tmp_path / "events.jsonl", monotonic_ns, heard.append)
    estate, begun = Spawning(), time.monotonic_ns()
    stage = stage_of(plan, estate, recorder, monotonic_ns, tmp_path)
    assert asyncio.run(collect_before.collect_before(stage, tmp_path))
    recorder.close()
    told = {event.data["books"]: event.data for event in heard if event.kind == "collect.before"}
    assert told["ledger"]["entries"] == 2
    assert begun <= told["ledger"]["begun"] <= time.monotonic_ns()
    assert told["ledger"]["took_ns"] > 0
    assert told["shop"]["ledger"] is False
    assert "entries" not in told["shop"]
    assert told["down"]["why"] == "own.py:Down: OSError: nobody answers"
    assert left(tmp_path) == ["books/ledger/before.parquet"]
    assert len(set(estate.names)) == 3


def test_it_is_taken_in_the_steady_state_before_anything_is_armed_and_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def written(stage: Stage, folder: Path) -> bool:
        (folder / "books" / "ledger").mkdir(parents=True)
        (folder / "books" / "ledger" / "before.parquet").write_text("rows")
        stage.recorder.record("collect.before", books="ledger", member="db", entries=1)
        return True

    monkeypatch.setattr("chaoskit.conductor.conductor.collect_before", written)
    played = play(tmp_path, plan_of(fault()))
    wanted = ("steady.ok", "collect.before", "lease.held", "timeline.zero")
    kinds = [kind for kind in played.kinds if kind in wanted]
    # Reading all of the books is work for the system too: it must be well again before it is broken.
    assert kinds[:4] == ["steady.ok", "collect.before", "steady.ok", "lease.held"]
    assert "books/ledger/before.parquet" in played.one("seal")["files"]
    assert played.one("run.end")["ended"] != "broken"


def test_a_system_that_is_not_well_after_it_is_not_drilled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def exhausting(stage: Stage, folder: Path) -> bool:
        stage.estate.world.latency_s = 0.9  # type: ignore[attr-defined]
        return True

    monkeypatch.setattr("chaoskit.conductor.conductor.collect_before", exhausting)
    played = play(tmp_path, plan_of(fault()))
    assert played.one("run.end")["ended"] == "broken"
    assert played.of("fault.begin") == []
