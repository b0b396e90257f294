"""Watches, while a run is measured, for what ends it: a measurer's death, the abort guard, the deadline, recovery."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from chaoskit.conductor import gate
from chaoskit.conductor.guard import Guard
from chaoskit.conductor.measurers import Measurers
from chaoskit.conductor.observation import limits_ns
from chaoskit.conductor.recovery_watch import RecoveryWatch
from chaoskit.conductor.redundancy_watch import RedundancyWatch
from chaoskit.conductor.stage import Stage
from chaoskit.conductor.timeline import Timeline
from chaoskit.processor import CONDUCTOR, borrowed_processor

EXITS_EVERY_S = 0.25
GUARD_EVERY_S = 1.0
SELF_EVERY_S = 0.1
HELD_UP_NS = 500_000_000
"""With ten busy processes on two cores the conductor was at most 50 ms late."""
SHOWN_S = 0.1
OUR_DOING_NS = 2 * 10**9
"""An end this soon after our own kill is that kill, should a runtime report it; a later one is the service's own."""


class CrashWatch:
    """Records services that ended unasked; those a fault of ours killed are none."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._seen: set[tuple[str, int]] = set()
        self._restarts = self._held_up = 0

    async def look(self) -> None:
        """Record what is new: services that ended, proxies that were held up, or started anew."""
        for restart in self._stage.estate.links.restarts()[self._restarts :]:
            self._restarts += 1
            self._stage.recorder.record("proxy.restarted", **asdict(restart))
        for held in self._stage.estate.links.held_up()[self._held_up :]:
            self._held_up += 1
            self._stage.recorder.record("proxy.held-up", **asdict(held))
        for ended in await self._stage.estate.exits():
            mark = (ended.service, ended.at_ns)
            if mark in self._seen:
                continue
            self._seen.add(mark)
            killed = self._stage.killed.get(ended.service)
            if killed is not None and killed <= ended.at_ns <= killed + OUR_DOING_NS:
                continue
            self._stage.recorder.record(
                "service.exit",
                service=ended.service,
                at=ended.at_ns,
                status=ended.status,
                log_tail=list(ended.log_tail),
            )

    async def follow(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EXITS_EVERY_S)


async def watch_measurers(stage: Stage, measurers: Measurers) -> None:
    """End the run as soon as a measurer has died: from then on nobody measures."""
    while True:
        if (ended := await measurers.ended()) is not None:
            source, status = ended
            stage.recorder.record("measurer.end", source=source, status=status)
            why = "".join(f": {line}" for line in measurers.last_words(source))
            stage.ending.set("broken", f"the {source} ended by itself with status {status}{why}")
            return
        await asyncio.sleep(EXITS_EVERY_S)


async def watch_itself(stage: Stage) -> None:
    """Record when the conductor itself was held up: what it looks for and does came late by so much.

    It asks for real time meanwhile, so that a busy machine is seldom a reason.
    """
    before = stage.clock()
    with borrowed_processor(CONDUCTOR) as again:
        while True:
            await asyncio.sleep(SELF_EVERY_S)
            now = stage.clock()
            if (late := now - before - int(SELF_EVERY_S * 1e9)) > HELD_UP_NS:
                stage.recorder.record("conductor.late", since=before, late_ns=late)
            before = now
            again()


async def watch_guard(stage: Stage) -> None:
    """End the run when the drill's abort condition has held for as long as it says."""
    if stage.plan.drill.abort is None:
        return
    guard = Guard(stage.plan.drill.abort, dict(limits_ns(stage.plan)))
    await stage.sleep_until(stage.zero_ns + guard.span_ns)
    while True:
        now = stage.clock()
        reason = guard.reason(stage.observation.window(now - guard.span_ns, now))
        if reason is not None and not stage.observation.silent(now):
            stage.recorder.record("abort", reason=reason)
            stage.ending.set("aborted", reason)
            return
        await asyncio.sleep(GUARD_EVERY_S)


async def watch_end(
    stage: Stage, timeline: Timeline, recovery: RecoveryWatch, redundancy: RedundancyWatch
) -> None:
    """End the run when every step is through, every journey has held W and every standby that the drill asks for is
    back, or at the deadline."""

    def deadline_ns() -> int:
        return (stage.first_fault_ns or stage.zero_ns) + stage.plan.deadline.ns + stage.unsure_ns

    def late() -> bool:
        return stage.clock() >= deadline_ns()

    with stage.recorder.phase("timeline"):
        while not timeline.settled and not late():
            recovery.look()
            await stage.observation.next_look()
    with stage.recorder.phase("hold"):
        while not (timeline.settled and recovery.all_held() and redundancy.restored()):
            if late():
                missing = ", ".join([*recovery.missing(), *redundancy.missing()]) or "a step of the timeline"
                gate.check_after(stage, stage.clock())
                seen_s = stage.unsure_ns / 1e9
                more = f" and {seen_s:.1f} s until the faults were seen" if seen_s >= SHOWN_S else ""
                reason = f"deadline of {stage.plan.deadline}{more}: not recovered: {missing}"
                stage.ending.set("complete", reason)
                return
            await stage.observation.next_look()
        await gate.steady_again(stage, deadline_ns())
        stage.ending.set("complete", "every journey has held its recovery")
