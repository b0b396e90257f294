"""The vacuity guard: what makes a whole run void. A drill that exercised nothing must neither pass nor fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chaoskit.model.history import Event, History
from chaoskit.model.measurement import Measurements


@dataclass(frozen=True)
class Reason:
    """Why a run is void, and the events that say so."""

    text: str
    events: tuple[int, ...] = ()


def how_it_ended(history: History) -> str | None:
    """complete | aborted | interrupted | broken | timeout; None: it did not end by itself."""
    ends = [event for event in history.events if event.kind == "run.end"]
    return str(ends[-1].data.get("ended")) if ends else None


def why_it_ended(history: History) -> str:
    """The reason in run.end; empty if there is none."""
    ends = [event for event in history.events if event.kind == "run.end"]
    return str(ends[-1].data.get("reason") or "") if ends else ""


def void_reasons(history: History, measurements: Measurements) -> tuple[Reason, ...]:
    """Every reason for which this run says nothing about the system; empty for a run that can be judged."""
    return (
        *_broken(history),
        *(Reason(problem) for problem in measurements.problems),
        *_steady(history),
        *_links(history),
        *_faults(history, measurements),
        *_hasty(history, measurements),
        *_customers(history, measurements),
    )


def _of(history: History, kind: str, **data: Any) -> list[Event]:
    return [
        event
        for event in history.events
        if event.kind == kind and all(event.data.get(name) == value for name, value in data.items())
    ]


def _broken(history: History) -> Iterator[Reason]:
    for event in _of(history, "run.end", ended="broken"):
        yield Reason(f"the environment broke: {event.data.get('reason')}", (event.n,))
    for event in _of(history, "conductor.late"):
        late = int(event.data.get("late_ns") or 0) / 1e9
        yield Reason(
            f"the conductor itself was held up for {late:.1f} s: what it looked for and did came late",
            (event.n,),
        )
    for event in _of(history, "events.lost"):
        yield Reason(f"{event.data.get('count')} events are missing: {event.data.get('why')}", (event.n,))


def _steady(history: History) -> Iterator[Reason]:
    if _of(history, "steady.ok", at="before"):
        if not _of(history, "timeline.zero"):
            yield Reason("the timeline never began")
        return
    failed = _of(history, "steady.failed", at="before")
    if failed:
        yield Reason(
            f"no steady state before the first fault: {failed[-1].data.get('reason')}", (failed[-1].n,)
        )
    else:
        yield Reason("the steady state before the first fault was never reached")


def _links(history: History) -> Iterator[Reason]:
    traffic = _of(history, "link.traffic")
    links = traffic[-1].data.get("links") if traffic else None
    if not history.plan.system.links:
        return
    if not isinstance(links, dict):
        yield Reason("what the declared links carried before the first fault was never recorded")
        return
    silent = [link.name for link in history.plan.system.links if not _carried(links.get(link.name))]
    if silent:
        names = ", ".join(silent)
        yield Reason(f"declared links carried no traffic in the steady phase: {names}", (traffic[-1].n,))
    for event in _of(history, "link.bypassed"):
        if isinstance(direct := event.data.get("direct"), dict) and direct:
            told = ", ".join(f"{name} ({size} bytes)" for name, size in direct.items())
            why = "declared links were bypassed once the faults had begun, so that a fault on them spared some traffic"
            yield Reason(f"{why}: {told}", (event.n,))


def _carried(counts: Any) -> bool:
    return isinstance(counts, list) and bool(counts) and all(isinstance(n, int) and n > 0 for n in counts)


def _faults(history: History, measurements: Measurements) -> Iterator[Reason]:
    found = {(fault.step, fault.target): fault for fault in measurements.faults}
    if not any(step.kind == "fault" for step in history.plan.steps):
        yield Reason("nothing was broken: the timeline has no fault")
    for step in history.plan.steps:
        if step.kind != "fault":
            continue
        for target in step.on:
            fault = found.get((step.id, target))
            what = f"{step.name} on {target} (step {step.id})"
            failed = _of(history, "fault.failed", step=step.id, target=target)
            if failed:
                yield Reason(f"{what} failed: {failed[-1].data.get('error')}", (failed[-1].n,))
            elif fault is None:
                yield Reason(f"{what} never began")
            elif fault.hi is None:
                unseen = _of(history, "fault.unwitnessed", step=step.id, target=target)
                how = f": {unseen[-1].data.get('how')}" if unseen else ""
                events = (*fault.events, *(event.n for event in unseen))
                yield Reason(f"{what} was witnessed by nothing but its injector{how}", events)
            elif not fault.exercised:
                yield Reason(
                    f"{what} was not exercised: no operation that uses it was under way", fault.events
                )


def _hasty(history: History, measurements: Measurements) -> Iterator[Reason]:
    """A recovery from before anything was broken: what it did to customers is in no recovery time."""
    first = min((fault.lo for fault in measurements.faults), default=None)
    recovering = {step.id for step in history.plan.steps if step.kind == "response" and step.recovers}
    for event in _of(history, "response.begin"):
        if event.data.get("step") in recovering and first is not None and event.t < first:
            early = (first - event.t) / 1e9
            yield Reason(
                f"the response {event.data.get('step')} began {early:.2f} s before anything was broken: what it did to "
                "customers is in no recovery time",
                (event.n,),
            )


def _customers(history: History, measurements: Measurements) -> Iterator[Reason]:
    for journey in history.plan.load:
        measure = measurements.journeys.get(journey)
        if measure is None or not measure.ok:
            yield Reason(f"the journey {journey} had not one acknowledged operation")
