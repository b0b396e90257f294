"""The end of every run: customers stop, links are healed, books are read, and only then is anything let go.

stop load and prober ► undo link and resource faults ► (wait for what is outstanding) ► COLLECT
  ► undo the rest that no fence has superseded ► close the estate ► leases.json ► run.end ► seal

From leases.json on it writes into the room that was kept for it (`evidence.room`), should the disk be full.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoskit.clock import Clock
from chaoskit.conductor import actors, gate
from chaoskit.conductor.collect import collect
from chaoskit.conductor.ending import Ending
from chaoskit.conductor.leases import LeaseBook
from chaoskit.conductor.measurers import Measurers
from chaoskit.conductor.recorder import Recorder
from chaoskit.conductor.stage import Stage
from chaoskit.conductor.watchers import CrashWatch
from chaoskit.errors import EnvironmentBroken
from chaoskit.evidence import room
from chaoskit.evidence.seal import seal_files
from chaoskit.model.estate import Estate
from chaoskit.model.lease import Lease

LINK_OPS = frozenset({"link.enable", "toxic.remove"})
HURRIED_DRAIN_S = 1.0
"""What load and prober get to drain when a person wants to leave."""
COLLECT_WITHIN_S = 180.0
CLOSE_WITHIN_S = 60.0
QUIESCE_WITHIN_S = 120.0


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
    suspended: Clock,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Do all of it. A step that fails is recorded as trouble and makes a complete run broken; the next one is done.

    `meanwhile` is begun beside COLLECT, which mostly waits for the gap between its two looks; nothing waits for it.
    """
    tidy = _Tidy(recorder, ending)
    stage, estate = remains.stage, remains.estate
    if stage is not None:
        await tidy.unless_interrupted("quiesce", lambda: _quiesce(stage, remains), QUIESCE_WITHIN_S)
        if meanwhile is not None:
            asyncio.get_running_loop().run_in_executor(None, meanwhile)
        if stage.zero_ns:
            await tidy.unless_interrupted("collect", lambda: collect(stage, folder), COLLECT_WITHIN_S)
        if ending.interrupted.is_set():
            await tidy.attempt("hurry", lambda: _hurry(stage, remains), CLOSE_WITHIN_S)
        ending.finalise()
        await tidy.attempt("release", lambda: _undo(stage, stage.leases.held), CLOSE_WITHIN_S)
    ending.finalise()
    await release_slot()
    if estate is not None:
        await tidy.attempt("close", lambda: _close(estate, recorder), CLOSE_WITHIN_S)
    with suppress(OSError):
        room.give_back(folder)
    recorder.resume()
    await tidy.attempt(
        "leases", lambda: asyncio.to_thread(_write_leases, remains.leases, folder), CLOSE_WITHIN_S
    )
    ended, reason = tidy.verdict()
    recorder.record("run.end", ended=ended, reason=reason, suspended_ns=suspended())
    await recorder.seal(await asyncio.to_thread(seal_files, folder))


class _Tidy:
    """Does one thing after the other, each in its phase and within its limit; what fails is remembered."""

    def __init__(self, recorder: Recorder, ending: Ending) -> None:
        self._recorder = recorder
        self._ending = ending
        self._troubles: list[str] = []

    async def attempt(self, name: str, work: Callable[[], Awaitable[None]], within_s: float) -> None:
        """Do it; whatever it raises is trouble on record, and the next thing is done all the same."""
        try:
            with self._recorder.phase(name):
                async with asyncio.timeout(within_s):
                    await work()
        except Exception as error:  # noqa: BLE001 - recorded, and what follows must still be done
            self._troubles.append(f"{name}: {type(error).__name__}: {error}")
            self._recorder.record("trouble", what=self._troubles[-1])

    async def unless_interrupted(
        self, name: str, work: Callable[[], Awaitable[None]], within_s: float
    ) -> None:
        """As `attempt`, but not begun, or broken off, when a person wants out."""
        if self._ending.interrupted.is_set():
            return
        doing = asyncio.ensure_future(self.attempt(name, work, within_s))
        leaving = asyncio.ensure_future(self._ending.interrupted.wait())
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        doing.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)

    def verdict(self) -> tuple[str, str]:
        """How the run ended, and why: complete only if nothing went wrong on the way out either."""
        end = self._ending.end
        assert end is not None
        if self._troubles and end.ended == "complete":
            return "broken", "; ".join(self._troubles)
        return end.ended, end.reason


async def _quiesce(stage: Stage, remains: Remains) -> None:
    assert remains.measurers is not None
    await remains.measurers.stop()
    await gate.check_bypasses(stage)
    await _undo(stage, _link_leases(stage))
    if remains.crashes is not None:
        await remains.crashes.look()
    stage.observation.poll()
    if stage.observation.outstanding:
        # A client that was killed cannot say what became of its last requests: give the system their longest limit.
        await asyncio.sleep(max(one.good.within.s for one in stage.plan.system.journeys.values()))


async def _hurry(stage: Stage, remains: Remains) -> None:
    assert remains.measurers is not None
    await asyncio.gather(remains.measurers.stop(HURRIED_DRAIN_S), _undo(stage, _link_leases(stage)))


def _link_leases(stage: Stage) -> list[Lease]:
    return [lease for lease in stage.leases.held if is_link_fault(lease)]


def is_link_fault(lease: Lease) -> bool:
    """Whether undoing it revives no process, so that it may be undone before the loss is read."""
    return all(step.op in LINK_OPS for step in lease.undo.steps)


async def _undo(stage: Stage, leases: list[Lease] | tuple[Lease, ...]) -> None:
    done = await asyncio.gather(*(actors.undo(stage, lease) for lease in leases))
    for lease, undone in zip(leases, done, strict=True):
        if undone and all(step.op != "none" for step in lease.undo.steps):
            stage.recorder.record("fault.undone", step=lease.step, target=lease.target)
    if failed := [lease.id for lease, undone in zip(leases, done, strict=True) if not undone]:
        raise EnvironmentBroken(f"could not undo {', '.join(failed)}")


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
