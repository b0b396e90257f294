"""COLLECT: every live member twice, by deadlines, and never a write to a fenced one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chaoskit.conductor.collect import collect, read_queries
from chaoskit.conductor.ending import Ending
from chaoskit.conductor.leases import LeaseBook
from chaoskit.conductor.observation import Observation
from chaoskit.conductor.recorder import Recorder
from chaoskit.conductor.stage import Stage
from chaoskit.engines.books import Snapshot
from chaoskit.engines.postgresql import Standing
from chaoskit.engines.session import DeadlinePassed, Unreachable
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.history import BooksSnapshot, Event
from chaoskit.model.lease import ProcessRef
from chaoskit.model.system import Books, DatabaseRole
from tests.conductor.fake_estate import FakeEstate, World
from tests.conductor.staging import FakeRegistry, fault, plan_of
from tests.conductor.virtual_loop import VirtualLoop, run


@dataclass
class FakeEngine:
    """One member: `digests` are those of its snapshots in turn, the last one for ever."""

    digests: list[str] = field(default_factory=lambda: ["a"])
    may_write: bool = True
    error: Exception | None = None
    writes: int = 0

    async def standing(self, within_s: float) -> Standing:
        if self.error is not None:
            raise self.error
        return Standing(not self.may_write, 2, "0/1", "id")

    async def writable(self, within_s: float) -> bool:
        self.writes += 1
        return self.may_write

    async def snapshot(self, queries: Mapping[str, str], folder: Path, within_s: float) -> Snapshot:
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a fake
        (folder / "entries.parquet").write_text("half")
        digest = self.digests.pop(0) if len(self.digests) > 1 else self.digests[0]
        return Snapshot(digest, {"entries": 1}, not self.may_write, "0/2")


@dataclass
class Collected:
    events: list[Event]
    metas: dict[str, BooksSnapshot]
    seconds: float

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.kind == kind]


def collect_from(
    folder: Path,
    engines: dict[str, FakeEngine],
    states: dict[str, str] | None = None,
    fenced: set[str] | None = None,
) -> Collected:
    """COLLECT from db and db-standby with these engines, and processes in these states."""
    (folder / "entries.sql").write_text("select 1")
    plan = plan_of(fault())
    role = DatabaseRole(engine="postgresql", primary="db", standby="db-standby", database="d", user="u")
    books = Books(on="database", entries="entries.sql", balances="entries.sql")
    system = plan.system.model_copy(
        update={"folder": str(folder), "roles": {"database": role}, "books": {"ledger": books}}
    )
    plan = plan.model_copy(update={"system": system})

    async def work(loop: VirtualLoop) -> Collected:
        heard: list[Event] = []
        estate = FakeEstate(World(loop), plan, "run-1", folder)
        order = sorted(engines)

        async def tree(service: str) -> tuple[ProcessRef, ...]:
            return (ProcessRef(pid=order.index(service), start=1),)

        def state(process: ProcessRef) -> str:
            return (states or {}).get(order[process.pid], "running")

        estate.processes.tree = tree  # type: ignore[method-assign]
        estate.processes.state = state  # type: ignore[method-assign,assignment]
        estate.direct = lambda service: Address(service, 1)  # type: ignore[method-assign]
        recorder = Recorder(folder / "events.jsonl", loop.clock, heard.append)
        stage = Stage(
            plan,
            estate,  # type: ignore[arg-type]
            FakeRegistry(),
            recorder,
            loop.clock,
            LeaseBook(folder),
            Ending(),
            Observation(()),
        )
        stage.fenced |= fenced or set()
        begun = loop.now
        await collect(stage, folder, lambda address, role: engines[address.host])
        recorder.close()
        metas = {
            path.parent.name: BooksSnapshot.model_validate_json(path.read_bytes())
            for path in (folder / "books").glob("*/*/meta.json")
        }
        return Collected(heard, metas, loop.now - begun)

    return run(work)


def test_two_identical_snapshots_a_gap_apart(tmp_path: Path) -> None:
    found = collect_from(tmp_path, {"db": FakeEngine(), "db-standby": FakeEngine(may_write=False)})
    assert found.seconds == pytest.approx(1.0)  # both members side by side
    assert found.metas["db"].writable
    assert not found.metas["db-standby"].writable
    assert all(meta.identical for meta in found.metas.values())
    assert found.metas["db"].folder == Path("books/ledger/db")
    assert {data["member"] for data in found.of("collect.snapshot")} == {"db", "db-standby"}


def test_books_that_still_move_are_read_until_they_hold_still(tmp_path: Path) -> None:
    found = collect_from(tmp_path, {"db": FakeEngine(["a", "b", "c"]), "db-standby": FakeEngine()})
    assert found.metas["db"].identical
    (moved,) = [data for data in found.of("collect.snapshot") if data["member"] == "db"]
    assert moved["digests"] == ["c", "c"]
    assert found.seconds == pytest.approx(3.0)


def test_books_that_never_hold_still_are_kept_and_say_so(tmp_path: Path) -> None:
    engine = FakeEngine([str(n) for n in range(100)])
    found = collect_from(tmp_path, {"db": engine, "db-standby": FakeEngine()})
    assert not found.metas["db"].identical
    assert found.seconds < 12


@pytest.mark.parametrize(("state", "why"), [("gone", "db is down"), ("stopped", "db is frozen")])
def test_a_dead_or_frozen_member_is_absent_at_once(tmp_path: Path, state: str, why: str) -> None:
    engine = FakeEngine()
    found = collect_from(tmp_path, {"db": engine, "db-standby": FakeEngine()}, {"db": state})
    assert found.of("collect.absent") == [{"books": "ledger", "member": "db", "why": why}]
    assert engine.writes == 0
    assert set(found.metas) == {"db-standby"}


@pytest.mark.parametrize("fenced", [set(), {"db"}])
def test_a_member_that_does_not_answer_is_absent_and_unsure_unless_fenced(
    fenced: set[str], tmp_path: Path
) -> None:
    engine = FakeEngine(error=DeadlinePassed("db:1: no log-in within 2 s"))
    found = collect_from(tmp_path, {"db": engine, "db-standby": FakeEngine()}, fenced=fenced)
    (absent,) = found.of("collect.absent")
    assert (absent["why"], absent["unsure"]) == ("db:1: no log-in within 2 s", not fenced)


def test_a_fenced_member_is_offered_no_write(tmp_path: Path) -> None:
    engine = FakeEngine()
    found = collect_from(tmp_path, {"db": engine, "db-standby": FakeEngine()}, fenced={"db"})
    assert engine.writes == 0
    assert not found.metas["db"].writable


def test_half_a_snapshot_is_no_evidence(tmp_path: Path) -> None:
    class Dies(FakeEngine):
        async def snapshot(self, queries: Mapping[str, str], folder: Path, within_s: float) -> Snapshot:
            await super().snapshot(queries, folder, within_s)
            raise Unreachable("db:1: server closed the connection")

    found = collect_from(tmp_path, {"db": Dies(), "db-standby": FakeEngine()})
    assert not (tmp_path / "books" / "ledger" / "db").exists()
    assert set(found.metas) == {"db-standby"}


def test_an_estate_that_does_not_know_who_lives_is_no_word_about_the_member(tmp_path: Path) -> None:
    async def lost(service: str) -> Any:
        raise EnvironmentBroken("the supervisor has ended")

    async def work(loop: VirtualLoop) -> None:
        plan = plan_of(fault())
        role = DatabaseRole(engine="postgresql", primary="db", database="d", user="u")
        (tmp_path / "entries.sql").write_text("select 1")
        books = Books(on="database", entries="entries.sql", balances="entries.sql")
        system = plan.system.model_copy(
            update={"folder": str(tmp_path), "roles": {"database": role}, "books": {"ledger": books}}
        )
        plan = plan.model_copy(update={"system": system})
        estate = FakeEstate(World(loop), plan, "run-1", tmp_path)
        estate.processes.tree = lost  # type: ignore[method-assign]
        recorder = Recorder(tmp_path / "events.jsonl", loop.clock)
        stage = Stage(
            plan,
            estate,  # type: ignore[arg-type]
            FakeRegistry(),
            recorder,
            loop.clock,
            LeaseBook(tmp_path),
            Ending(),
            Observation(()),
        )
        with pytest.raises(EnvironmentBroken, match="supervisor"):
            await collect(stage, tmp_path, lambda address, role: FakeEngine())
        recorder.close()

    run(work)


def test_a_query_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    books = Books(on="database", entries="missing.sql", balances="missing.sql")
    with pytest.raises(EnvironmentBroken, match=r"missing\.sql"):
        read_queries(tmp_path, books)
