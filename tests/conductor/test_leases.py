"""Leases: on disk before anybody may rely on them, and readable by somebody who knows nothing of the run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from chaoskit.conductor.leases import LeaseBook, read
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.lease import Lease, LinkUndo, ProcessRef, SignalUndo, Undo


def lease(id_: str = "crash.1", *services: str) -> Lease:
    undo = Undo(
        steps=(SignalUndo(processes=(ProcessRef(pid=1, start=2),)), LinkUndo(link="gateway -> ledger"))
    )
    return Lease(id=id_, run="run-1", step="crash", target="db", undo=undo, services=services or ("db",))


def test_what_is_held_is_on_disk(tmp_path: Path) -> None:
    async def work() -> None:
        book = LeaseBook(tmp_path)
        await book.hold([lease("a.1"), lease("a.2")])
        assert read(tmp_path) == (lease("a.1"), lease("a.2"))
        assert book.held == book.all
        await book.undone("a.1")
        await book.undone("a.1")
        assert [one.state for one in read(tmp_path)] == ["undone", "held"]
        assert [one.id for one in book.held] == ["a.2"]

    asyncio.run(work())


def test_files_and_folder_are_synced_before_hold_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(file: int) -> None:
        synced.append(Path(f"/proc/self/fd/{file}").readlink().name)
        real(file)

    monkeypatch.setattr("chaoskit.conductor.leases.os.fsync", fsync)
    asyncio.run(LeaseBook(tmp_path).hold([lease()]))
    assert synced == ["crash.1.partial", "leases"]


def test_a_fence_supersedes_what_is_held_on_its_service_and_nothing_else(tmp_path: Path) -> None:
    async def work() -> None:
        book = LeaseBook(tmp_path)
        await book.hold([lease("a", "db"), lease("b", "standby"), lease("c", "db", "ledger")])
        await book.undone("a")
        superseded = await book.supersede("db")
        assert [one.id for one in superseded] == ["c"]
        assert {one.id: one.state for one in read(tmp_path)} == {
            "a": "undone",
            "b": "held",
            "c": "superseded",
        }

    asyncio.run(work())


def test_an_id_is_taken_once(tmp_path: Path) -> None:
    async def work() -> None:
        book = LeaseBook(tmp_path)
        await book.hold([lease()])
        with pytest.raises(ValueError, match="is taken"):
            await book.hold([lease()])

    asyncio.run(work())


def test_a_lease_that_cannot_be_written_is_no_lease(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    book = LeaseBook(tmp_path / "state")
    with pytest.raises(EnvironmentBroken, match="CHAOSKIT_STATE_DIR"):
        asyncio.run(book.hold([lease()]))
    assert book.all == ()


def test_many_at_once_end_as_the_memory_says(tmp_path: Path) -> None:
    async def work() -> None:
        book = LeaseBook(tmp_path)
        await book.hold([lease(f"a.{n}") for n in range(20)])
        await asyncio.gather(*(book.undone(f"a.{n}") for n in range(0, 20, 2)), book.supersede("db"))
        assert {one.id: one.state for one in read(tmp_path)} == {one.id: one.state for one in book.all}

    asyncio.run(work())


def test_a_file_that_was_never_completed_is_not_read(tmp_path: Path) -> None:
    asyncio.run(LeaseBook(tmp_path).hold([lease()]))
    (tmp_path / "leases" / "half.partial").write_text('{"id": ')
    assert [one.id for one in read(tmp_path)] == ["crash.1"]
