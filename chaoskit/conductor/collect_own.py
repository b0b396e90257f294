"""COLLECT of books that a class of the user's own reads: twice in a process of its own, until they hold still."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaoskit.conductor.own_books import TAKEN
from chaoskit.conductor.stage import Stage
from chaoskit.errors import ChaoskitError, EnvironmentBroken
from chaoskit.model.history import BooksSnapshot
from chaoskit.model.system import Books

READ_WITHIN_S = 60.0
STARTED_WITHIN_S = 15.0
STILL_WITHIN_S = 10.0
_LOOK_S = 0.02


async def collect_own(stage: Stage, folder: Path, name: str, books: Books) -> None:
    """Write the books below `folder`/books; books that cannot be read are recorded as absent, and nobody knows."""
    member = books.on or "own"
    place = folder / "books" / name / member
    try:
        await _keep(stage, place, name, member, books)
    except (ChaoskitError, OSError) as error:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)  # half a snapshot is no evidence
        stage.recorder.record("collect.absent", books=name, member=member, why=str(error), unsure=True)


async def _keep(stage: Stage, place: Path, name: str, member: str, books: Books) -> None:
    begun = stage.clock()
    before = await read_own(stage, place, name, books, 1)
    turn = 2
    while True:
        await stage.sleep_until(stage.clock() + stage.plan.drill.settle.gap.ns)
        taken = stage.clock()
        after = await read_own(stage, place, name, books, turn)
        identical = before["digest"] == after["digest"]
        if identical or taken - begun > STILL_WITHIN_S * 1e9:
            break
        before, turn = after, turn + 1
    meta = BooksSnapshot(
        books=name,
        member=member,
        in_recovery=False,
        writable=True,
        timeline=0,
        lsn="",
        identical=identical,
        folder=Path("books") / name / member,
    )
    await asyncio.to_thread((place / "meta.json").write_text, meta.model_dump_json(), encoding="utf-8")
    stage.recorder.record(
        "collect.snapshot",
        books=name,
        member=member,
        digests=[before["digest"], after["digest"]],
        identical=identical,
        writable=True,
    )


async def read_own(stage: Stage, place: Path, name: str, books: Books, turn: int) -> Mapping[str, Any]:
    """One reading, the run's `turn`th of these books: {"digest", "rows": {table: how many}}.

    Raises EnvironmentBroken with what the class raised, or that it did not end.
    """
    task = {
        "class": books.class_,
        "folder": stage.plan.system.folder,
        "with": books.with_,
        "estate": _addresses(stage),
        "target": os.path.abspath(place),  # noqa: PTH100, ASYNC240 - no need to look at the disk
        "within_s": READ_WITHIN_S,
    }
    argv = (sys.executable, "-m", "chaoskit.conductor.own_books")
    helper = await stage.estate.spawn(f"books-{name}-{turn}", argv, json.dumps(task).encode())
    try:
        async with asyncio.timeout(READ_WITHIN_S + STARTED_WITHIN_S):
            while (status := await helper.exited()) is None:  # noqa: ASYNC110 - it tells its end only when asked
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        await helper.terminate(0.0)
        raise EnvironmentBroken(f"{books.class_}: held on to its process") from None
    taken = place / TAKEN
    if status != 0 or not taken.is_file():
        raise EnvironmentBroken(f"{books.class_}: its process ended with status {status}")
    found: dict[str, Any] = json.loads(await asyncio.to_thread(taken.read_text, encoding="utf-8"))
    await asyncio.to_thread(taken.unlink)
    if "error" in found:
        raise EnvironmentBroken(str(found["error"]))
    return found


def _addresses(stage: Stage) -> dict[str, tuple[str, int]]:
    """Each service's own address; one that is gone has none."""
    found = {}
    for service in stage.plan.system.services:
        try:
            address = stage.estate.direct(service)
        except (ChaoskitError, KeyError, OSError):
            continue
        found[service] = (address.host, address.port)
    return found
