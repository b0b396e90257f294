"""The entries as they are before the first fault, which `entries-unchanged` compares those at the end with.

drill names the check? ── no ──► nothing: it costs time
   │ yes
the primary, or the user's own class ──once──► books/<books>/.before ──► books/<books>/before.parquet, collect.before
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaoskit.conductor.collect import READ_WITHIN_S, EngineFor, read_queries
from chaoskit.conductor.collect_own import read_own
from chaoskit.conductor.stage import Stage
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.errors import ChaoskitError
from chaoskit.model.system import Books

CHECK = "entries-unchanged"
TAKE_WITHIN_S = 180.0
"""How long one source of books may take, with making its Parquet: as long as all of COLLECT at the end."""


async def collect_before(stage: Stage, folder: Path, engine_for: EngineFor = PostgreSQL) -> bool:
    """Keep the entries of every ledger below `folder`/books, if the drill asks whether they are unchanged.

    Returns whether anything was read. What could not be is recorded with its reason, and leaves no half file.
    """
    if CHECK not in stage.plan.drill.checks:
        return False
    books = {
        name: one
        for name, one in stage.plan.system.books.items()
        if one.class_ is not None or one.entries is not None
    }
    await asyncio.gather(*(_kept(stage, folder, engine_for, name, one) for name, one in books.items()))
    return bool(books)


async def _kept(stage: Stage, folder: Path, engine_for: EngineFor, name: str, books: Books) -> None:
    place, begun = folder / "books" / name, stage.clock()
    half = place / ".before"  # a run that is killed meanwhile has no before.parquet, rather than half of one
    # A snapshot is of an instant after `begun`; what is posted later is nobody's concern here.
    told: dict[str, Any] = {"books": name, "member": _member(stage, books), "begun": begun}
    try:
        async with asyncio.timeout(TAKE_WITHIN_S):
            told |= await _read(stage, half, engine_for, name, books)
            if "entries" in told:
                await asyncio.to_thread((half / "entries.parquet").replace, place / "before.parquet")
    except TimeoutError:
        told["why"] = f"not read within {TAKE_WITHIN_S:g} s"
    except (ChaoskitError, OSError) as error:
        told["why"] = str(error)
    finally:
        await asyncio.to_thread(shutil.rmtree, half, ignore_errors=True)
    stage.recorder.record("collect.before", **told, took_ns=stage.clock() - begun)


def _member(stage: Stage, books: Books) -> str:
    """Whose entries are the truth while nothing is broken."""
    if books.class_ is not None:
        return books.on or "own"
    return stage.plan.system.roles[books.on or ""].primary


async def _read(
    stage: Stage, half: Path, engine_for: EngineFor, name: str, books: Books
) -> Mapping[str, Any]:
    if books.class_ is not None:
        found = await read_own(stage, half, name, books, 0)
        if "entries" not in found["rows"]:
            return {"ledger": False}
        return {"entries": found["rows"]["entries"], "digest": found["digest"]}
    role = stage.plan.system.roles[books.on or ""]
    queries = await asyncio.to_thread(read_queries, Path(stage.plan.system.folder), books)
    engine = engine_for(stage.estate.direct(role.primary), role)
    taken = await engine.snapshot({"entries": queries["entries"]}, half, READ_WITHIN_S)
    return {"entries": taken.rows["entries"], "digest": taken.digest, "lsn": taken.lsn}
