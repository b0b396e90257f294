"""COLLECT: the books of every live member of a database role, past every proxy, before anything is revived.

member alive? ── no ──► collect.absent
     │ yes
snapshot ─┬─ writable? ── gap ──► snapshot ── the same digest? ──► books/<books>/<member>/
          └────────── no: once more, until the books hold still or the limit is reached
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from chaoskit.conductor.collect_own import collect_own
from chaoskit.conductor.stage import Stage
from chaoskit.engines.books import Snapshot
from chaoskit.engines.postgresql import PostgreSQL, Standing
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.history import BooksSnapshot
from chaoskit.model.system import Books, DatabaseRole

ANSWER_WITHIN_S = 2.0
READ_WITHIN_S = 120.0
STILL_WITHIN_S = 10.0
"""How long books may go on moving before they are kept as they are, and called not identical."""


class Engine(Protocol):
    """What COLLECT asks of a member."""

    async def standing(self, within_s: float) -> Standing: ...

    async def writable(self, within_s: float) -> bool: ...

    async def snapshot(self, queries: Mapping[str, str], folder: Path, within_s: float) -> Snapshot: ...


EngineFor = Callable[[Address, DatabaseRole], Engine]


async def collect(stage: Stage, folder: Path, engine_for: EngineFor = PostgreSQL) -> None:
    """Write the books of every member below `folder`/books; a member that does not answer is recorded as absent."""
    system = stage.plan.system
    wanted: list[Awaitable[None]] = []
    for name, books in system.books.items():
        if books.class_ is not None:
            wanted.append(collect_own(stage, folder, name, books))
            continue
        role = system.roles[books.on or ""]
        queries = await asyncio.to_thread(read_queries, Path(system.folder), books)
        wanted += [
            _member(stage, folder, engine_for, role, name, member, queries)
            for member in (role.primary, role.standby)
            if member is not None
        ]
    await asyncio.gather(*wanted)


def read_queries(folder: Path, books: Books) -> dict[str, str]:
    """The SQL of each of the books' files, by name; raises EnvironmentBroken for one that cannot be read."""
    try:
        return {name: (folder / path).read_text(encoding="utf-8") for name, path in books.queries.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentBroken(f"the query of the books cannot be read: {error}") from error


async def _member(
    stage: Stage,
    folder: Path,
    engine_for: EngineFor,
    role: DatabaseRole,
    books: str,
    member: str,
    queries: Mapping[str, str],
) -> None:
    place = folder / "books" / books / member
    if (why := await _dead(stage, member)) is not None:
        stage.recorder.record("collect.absent", books=books, member=member, why=why)
        return
    try:
        engine = engine_for(stage.estate.direct(member), role)
        standing = await engine.standing(ANSWER_WITHIN_S)
        await _keep(stage, engine, standing, books, member, queries, place)
    except (EngineError, OSError) as error:
        # Half a snapshot is no evidence.
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
        # It lives, and nobody has proven that it can take no payment.
        stage.recorder.record(
            "collect.absent", books=books, member=member, why=str(error), unsure=member not in stage.fenced
        )


async def _dead(stage: Stage, member: str) -> str | None:
    """Why nothing would answer: its processes are gone, or stopped. None if it lives.

    Raises EnvironmentBroken or TimeoutError if the estate does not know: then nobody can say what survives.
    """
    async with asyncio.timeout(ANSWER_WITHIN_S):
        tree = await stage.estate.processes.tree(member)
    found = {stage.estate.processes.state(process) for process in tree}
    if "running" in found:
        return None
    return f"{member} is frozen" if "stopped" in found else f"{member} is down"


async def _keep(
    stage: Stage,
    engine: Engine,
    standing: Standing,
    books: str,
    member: str,
    queries: Mapping[str, str],
    place: Path,
) -> None:
    begun = taken = stage.clock()
    before = await engine.snapshot(queries, place, READ_WITHIN_S)
    writable = await _writable(stage, engine, member)
    while True:
        # A snapshot is of the instant at which it begins, so the gap runs from there.
        await stage.sleep_until(taken + stage.plan.drill.settle.gap.ns)
        taken = stage.clock()
        after = await engine.snapshot(queries, place, READ_WITHIN_S)
        identical = before.digest == after.digest
        if identical or taken - begun > STILL_WITHIN_S * 1e9:
            break
        before = after
    meta = _meta(books, member, standing, after, writable, identical)
    await asyncio.to_thread((place / "meta.json").write_text, meta.model_dump_json(), encoding="utf-8")
    stage.recorder.record(
        "collect.snapshot",
        books=books,
        member=member,
        digests=[before.digest, after.digest],
        identical=identical,
        writable=writable,
    )


def _meta(
    books: str, member: str, standing: Standing, taken: Snapshot, writable: bool, identical: bool
) -> BooksSnapshot:
    return BooksSnapshot(
        books=books,
        member=member,
        in_recovery=taken.in_recovery,
        writable=writable,
        timeline=standing.timeline,
        lsn=taken.lsn,
        identical=identical,
        folder=Path("books") / books / member,
    )


async def _writable(stage: Stage, engine: Engine, member: str) -> bool:
    """By trying; a fenced member is offered no write: nobody can reach it, and its books must stay as they are."""
    if member in stage.fenced:
        return False
    try:
        return await engine.writable(ANSWER_WITHIN_S)
    except EngineError as error:
        stage.recorder.record("collect.write", member=member, error=str(error))
        return False
