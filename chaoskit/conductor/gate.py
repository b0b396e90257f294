"""The gate before the first fault: a system that is not well, or a link that carries nothing, is not drilled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.conductor import steady
from chaoskit.conductor.observation import limits_ns
from chaoskit.conductor.stage import Stage
from chaoskit.model.estate import LinkBytes


async def reach_steady(stage: Stage, begun_ns: int, before: Mapping[str, LinkBytes]) -> None:
    """Return once every journey has been well for `steady.for`, every link has carried bytes both ways, and nothing
    went past one.

    Otherwise the run is ended as broken: the customers' outage could not be told from what was wrong before.
    """
    drill = stage.plan.drill.steady
    limits = limits_ns(stage.plan)
    deadline = begun_ns + drill.within.ns
    while True:
        await stage.observation.next_look()
        now = stage.clock()
        if now < begun_ns + drill.for_.ns:
            continue
        # Nothing older than the longest limit can still be waiting, so this holds the window and its open end.
        operations = stage.observation.operations(now - drill.for_.ns - max(limits.values(), default=0))
        end = steady.window_end(operations, limits, now)
        start = end - drill.for_.ns
        found = steady.states(operations, limits, max(start, begun_ns), end)
        reasons = steady.shortfalls(found, drill)
        if start >= begun_ns and not reasons:
            stage.recorder.record("steady.ok", at="before", journeys=as_data(found))
            break
        if now > deadline:
            reason = "; ".join(reasons) or f"not observed for {drill.for_}"
            stage.recorder.record("steady.failed", at="before", journeys=as_data(found), reason=reason)
            stage.ending.set("broken", f"no steady state within {drill.within}: {reason}")
            return
    await _check_links(stage, before)


def check_after(stage: Stage, now_ns: int) -> None:
    """The steady state once more, over the second half of the hold: recorded, and judged later."""
    _record_after(stage, *_after(stage, now_ns, _hold_ns(stage) // 2))


async def steady_again(stage: Stage, until_ns: int) -> None:
    """Return once the steady state holds again, or at the end of `steady.within`, `until_ns` at the latest: recorded,
    and judged later.

    The first look costs no time of its own but that of the answers that are still out: who is not answered any more may
    be within every limit, and is not well. It is over the second half of the hold. (The first half belongs to the
    recovery: an arrival that waited through the end of the outage, and was answered within its limit, is good, but
    slower than any steady state allows.) That is a hundred arrivals in many a drill, of which two that are late break a
    99th percentile: whoever fails it has, as before the faults, some time to be well for the whole of `steady.for`.
    """
    drill, half = stage.plan.drill.steady, _hold_ns(stage) // 2
    asked_ns = held_ns = now = stage.clock()
    until_ns = min(until_ns, now + drill.within.ns)
    failed = False
    while True:
        length = max(drill.for_.ns, half) if failed else now - held_ns + half
        found, reasons = _after(stage, now, length, whole=failed)
        out = _unanswered(stage, asked_ns, now)
        if now >= until_ns or not (reasons or out):
            break
        if not out:
            failed, asked_ns = True, now
        await stage.observation.next_look()
        now = stage.clock()
    reasons = reasons or [f"{journey}: not answered yet" for journey in out]
    _record_after(stage, found, reasons, now - held_ns if failed or reasons else 0)


def _unanswered(stage: Stage, before_ns: int, now_ns: int) -> list[str]:
    """Journeys of which an arrival before that instant may still be answered within its limit."""
    limits = limits_ns(stage.plan)
    operations = stage.observation.operations(before_ns - max(limits.values(), default=0))
    waiting = {
        one.journey
        for one in operations
        if one.intended < before_ns and steady.may_be_answered(one, limits, now_ns)
    }
    return sorted(waiting)


def _hold_ns(stage: Stage) -> int:
    return max(
        (criterion.hold_ns for criterion in stage.plan.criteria.values()),
        default=stage.plan.drill.steady.for_.ns,
    )


def _after(
    stage: Stage, now_ns: int, length_ns: int, *, whole: bool = False
) -> tuple[dict[str, steady.JourneyState], list[str]]:
    """Over the arrivals of the last `length_ns` that are decided; if `whole`, as far back as makes it that long."""
    limits = limits_ns(stage.plan)
    # Nothing older than the longest limit can still be waiting, so this holds the window and its open end.
    operations = stage.observation.operations(now_ns - length_ns - max(limits.values(), default=0))
    end = steady.window_end(operations, limits, now_ns)
    found = steady.states(operations, limits, (end if whole else now_ns) - length_ns, end)
    return found, steady.shortfalls(found, stage.plan.drill.steady)


def _record_after(
    stage: Stage, found: Mapping[str, steady.JourneyState], reasons: list[str], waited_ns: int = 0
) -> None:
    told: dict[str, Any] = {"at": "after", "journeys": as_data(found), "waited_ns": waited_ns}
    if reasons:
        stage.recorder.record("steady.failed", **told, reason="; ".join(reasons))
    else:
        stage.recorder.record("steady.ok", **told)


async def check_bypasses(stage: Stage) -> None:
    """Whether callers have gone past their links since the faults began: recorded, and judged later.

    A caller that loses its link may look for another way, as one does that asks DNS after a failure.
    """
    if not stage.zero_ns:
        return
    past = await stage.estate.links.bypassed()
    direct = {link.name: past[link.name] for link in stage.plan.system.links if past.get(link.name, 0) > 0}
    stage.recorder.record("link.bypassed", direct=direct)


def as_data(found: Mapping[str, steady.JourneyState]) -> dict[str, dict[str, float | int | None]]:
    """For an event."""
    return {journey: state.as_data() for journey, state in found.items()}


async def _check_links(stage: Stage, before: Mapping[str, LinkBytes]) -> None:
    after = await stage.estate.links.traffic()
    nothing = LinkBytes(0, 0)
    carried = {
        link.name: (
            after.get(link.name, nothing).upstream - before.get(link.name, nothing).upstream,
            after.get(link.name, nothing).downstream - before.get(link.name, nothing).downstream,
        )
        for link in stage.plan.system.links
    }
    direct = {
        name: past
        for name in carried
        if (past := after.get(name, nothing).direct - before.get(name, nothing).direct) > 0
    }
    stage.recorder.record(
        "link.traffic", links={name: list(both) for name, both in carried.items()}, direct=direct
    )
    silent = [name for name, (up, down) in carried.items() if up <= 0 or down <= 0]
    if silent:
        stage.ending.set(
            "broken",
            f"declared links carried nothing of their caller in the steady phase: {', '.join(silent)}; "
            "a fault on them would prove nothing. Is the caller really pointed at the link?" + _past(direct),
        )
    elif direct:
        stage.ending.set(
            "broken",
            f"declared links were bypassed in the steady phase, so that a fault on them would spare some traffic:"
            f"{_past(direct)}",
        )


def _past(direct: Mapping[str, int]) -> str:
    if not direct:
        return ""
    told = ", ".join(f"{name} ({size} bytes)" for name, size in direct.items())
    return (
        f" Callers reached their callees directly: {told}. A caller that asks DNS itself (nginx `resolver`, HAProxy "
        "`resolvers`), or that is given an address, does not see the names in /etc/hosts"
    )
