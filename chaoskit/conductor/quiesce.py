"""The end of every run: customers stop, links are healed, books are read, and only then is anything let go.

stop load and prober ► undo link and resource faults ► (wait for what is outstanding) ► COLLECT
  ► undo the rest that no fence has superseded ► close the estate ► leases.json ► run.end ► seal
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoskit.clock import suspended_ns
from chaoskit.conductor import actors
from chaoskit.conductor.collect import collect
from chaoskit.conductor.ending import Ending
from chaoskit.conductor.leases import LeaseBook
from chaoskit.conductor.measurers import Measurers
from chaoskit.conductor.recorder import Recorder
from chaoskit.conductor.stage import Stage
from chaoskit.conductor.watchers import CrashWatch
from chaoskit.evidence.seal import seal_files
from chaoskit.model.estate import Estate
from chaoskit.model.lease import Lease

LINK_OPS = frozenset({"link.enable", "toxic.remove"})
HURRIED_DRAIN_S = 1.0
"""What load and prober get to drain when a person wants to leave."""
COLLECT_WITHIN_S = 180.0
CLOSE_WITHIN_S = 60.0


@dataclass(frozen=True)
class Remains:
    """What the run had when it ended; None for what never came about."""

    estate: Estate | None
    stage: Stage | None
    measurers: Measurers | None
    crashes: CrashWatch | None
    leases: LeaseBook


async def finish(
    recorder: Recorder,
    ending: Ending,
    remains: Remains,
    folder: Path,
    release_slot: Callable[[], Awaitable[None]],
) -> None:
    """Do all of it. A step that fails is recorded as trouble and makes a complete run broken; the next one is done."""
    assert ending.end is not None
    troubles: list[str] = []

    async def attempt(name: str, work: Callable[[], Awaitable[None]], within_s: float) -> None:
        try:
            with recorder.phase(name):
                async with asyncio.timeout(within_s):
                    await work()
        except Exception as error:  # noqa: BLE001 - recorded, and what follows must still be done
            troubles.append(f"{name}: {type(error).__name__}: {error}")
            recorder.record("trouble", what=troubles[-1])

    hurried = ending.end.ended == "interrupted"
    stage = remains.stage
    if stage is not None:
        await attempt("quiesce", lambda: _quiesce(stage, remains, hurried), CLOSE_WITHIN_S)
        if not hurried and stage.zero_ns:
            await attempt("collect", lambda: collect(stage, folder), COLLECT_WITHIN_S)
        await attempt("release", lambda: _undo(stage, stage.leases.held), CLOSE_WITHIN_S)
    await release_slot()
    estate = remains.estate
    if estate is not None:
        await attempt("close", lambda: _close(estate, recorder), CLOSE_WITHIN_S)
    await attempt("leases", lambda: asyncio.to_thread(_write_leases, remains.leases, folder), CLOSE_WITHIN_S)
    ended, reason = ending.end.ended, ending.end.reason
    if troubles and ended == "complete":
        ended, reason = "broken", "; ".join(troubles)
    recorder.record("run.end", ended=ended, reason=reason, suspended_ns=suspended_ns())
    files = await asyncio.to_thread(seal_files, folder)
    await recorder.seal(files)


async def _quiesce(stage: Stage, remains: Remains, hurried: bool) -> None:
    if remains.crashes is not None:
        await remains.crashes.look()
    links = [lease for lease in stage.leases.held if is_link_fault(lease)]
    measurers = remains.measurers
    assert measurers is not None
    if hurried:
        await asyncio.gather(measurers.stop(HURRIED_DRAIN_S), _undo(stage, links))
    else:
        await measurers.stop()
        await _undo(stage, links)
    stage.observation.poll()
    if not hurried and stage.observation.outstanding:
        # A client that was killed cannot say what became of its last requests: give the system their longest limit.
        await asyncio.sleep(max(one.good.within.s for one in stage.plan.system.journeys.values()))


def is_link_fault(lease: Lease) -> bool:
    """Whether undoing it revives no process, so that it may be undone before the loss is read."""
    return all(step.op in LINK_OPS for step in lease.undo.steps)


async def _undo(stage: Stage, leases: list[Lease] | tuple[Lease, ...]) -> None:
    done = await asyncio.gather(*(actors.undo(stage, lease) for lease in leases))
    for lease, undone in zip(leases, done, strict=True):
        if undone:
            stage.recorder.record("fault.undone", step=lease.step, target=lease.target)


async def _close(estate: Estate, recorder: Recorder) -> None:
    left: list[Any] = []
    try:
        await estate.close()
    except Exception as error:
        left = [str(error)]
        raise
    finally:
        recorder.record("estate.closed", left=left)


def _write_leases(leases: LeaseBook, folder: Path) -> None:
    text = json.dumps([lease.model_dump(mode="json") for lease in leases.all], indent=1)
    (folder / "leases.json").write_text(text + "\n", encoding="utf-8")
