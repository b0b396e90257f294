"""What was done to the system and when, read from the events: faults as intervals, volleys, decisions, responses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chaoskit.model.history import Event, History
from chaoskit.model.plan import Plan


@dataclass(frozen=True)
class FaultSpan:
    """A fault on one target: [lo, hi] = command started … effect witnessed. hi None: not witnessed."""

    step: str
    name: str
    target: str
    volley: int
    lo: int
    hi: int | None
    witness: str | None
    events: tuple[int, ...]


@dataclass(frozen=True)
class Volley:
    """Faults that hit in one instant: [lo, hi] = the earliest lo … the latest hi."""

    number: int
    lo: int
    hi: int
    steps: tuple[str, ...]
    events: tuple[int, ...]


@dataclass(frozen=True)
class DecisionSpan:
    """A decision by a person: it lasted `slept` ns here, and `takes` ns in the world the drill models.

    `follows`: the steps whose begin or end its own step waits for, one through the other.
    """

    step: str
    begin: int
    end: int
    takes: int
    slept: int
    event: int
    follows: frozenset[str] = frozenset()

    @property
    def modelled(self) -> int:
        """Human time that was not lived, ns."""
        return max(0, self.takes - self.slept)


@dataclass(frozen=True)
class ResponseSpan:
    """A response; `done` None: it failed or never ended."""

    step: str
    begin: int
    done: int | None
    events: tuple[int, ...]


@dataclass(frozen=True)
class Alert:
    """Detection by a direct probe that did not know the injector."""

    step: str
    service: str
    at: int
    first_miss: int
    event: int


@dataclass(frozen=True)
class ProxyGap:
    """A proxy was replaced: between `lo` and `hi` its `links` may have carried nothing, or their faults not worked.

    `held`: it was not replaced, it was stopped or had no processor, and went on with what it had.
    """

    links: tuple[str, ...]
    lo: int
    hi: int
    event: int
    held: bool = False
    why: str = ""


@dataclass(frozen=True)
class Timeline:
    """Instants in CLOCK_MONOTONIC ns. `zero` None: the timeline never began."""

    zero: int | None
    faults: tuple[FaultSpan, ...]
    volleys: tuple[Volley, ...]
    decisions: tuple[DecisionSpan, ...]
    responses: tuple[ResponseSpan, ...]
    alerts: tuple[Alert, ...]
    gaps: tuple[ProxyGap, ...] = ()

    @property
    def last_fault(self) -> int | None:
        """When the last fault began."""
        return max((fault.lo for fault in self.faults), default=None)


def read_timeline(history: History) -> Timeline:
    """The timeline as it happened. Events whose data do not fit are left out; the judge misses them by name."""
    events = [event for event in history.events if _complete(event)]
    faults = _faults(events, history.plan)
    zeros = [event.t for event in events if event.kind == "timeline.zero"]
    return Timeline(
        zero=zeros[0] if zeros else None,
        faults=faults,
        volleys=_volleys(faults),
        decisions=_decisions(events, history.plan),
        responses=_responses(events),
        alerts=tuple(
            Alert(e.data["step"], e.data["service"], e.t, e.data["first_miss"], e.n)
            for e in events
            if e.kind == "detect.alert"
        ),
        gaps=tuple(_gaps(events)),
    )


_NEEDED: dict[str, dict[str, type]] = {
    "fault.begin": {"step": str, "name": str, "target": str, "lo": int},
    "fault.witnessed": {"step": str, "target": str, "hi": int, "how": str},
    "decision.begin": {"step": str},
    "decision.end": {"step": str, "takes_ns": int, "slept_ns": int},
    "response.begin": {"step": str},
    "response.done": {"step": str},
    "proxy.restarted": {"links": list, "lo": int, "hi": int},
    "proxy.held-up": {"links": list, "lo": int, "why": str},
    "detect.alert": {"step": str, "service": str, "first_miss": int},
}


def _complete(event: Event) -> bool:
    needed = _NEEDED.get(event.kind, {})
    return all(isinstance(event.data.get(name), kind) for name, kind in needed.items())


def _faults(events: Iterable[Event], plan: Plan) -> tuple[FaultSpan, ...]:
    volleys = {step.id: step.volley for step in plan.steps}
    spans: dict[tuple[str, str], FaultSpan] = {}
    for event in events:
        data = event.data
        if event.kind == "fault.begin":
            span = FaultSpan(
                step=data["step"],
                name=data["name"],
                target=data["target"],
                volley=volleys.get(data["step"], -1),
                lo=data["lo"],
                hi=None,
                witness=None,
                events=(event.n,),
            )
            spans.setdefault((span.step, span.target), span)
        elif event.kind == "fault.witnessed" and (begun := spans.get((data["step"], data["target"]))):
            spans[begun.step, begun.target] = FaultSpan(
                step=begun.step,
                name=begun.name,
                target=begun.target,
                volley=begun.volley,
                lo=begun.lo,
                hi=max(data["hi"], begun.lo),
                witness=data["how"],
                events=(*begun.events, event.n),
            )
    return tuple(sorted(spans.values(), key=lambda span: span.lo))


def _volleys(faults: Iterable[FaultSpan]) -> tuple[Volley, ...]:
    groups: dict[int, list[FaultSpan]] = {}
    for fault in faults:
        groups.setdefault(fault.volley, []).append(fault)
    volleys = [
        Volley(
            number=number,
            lo=min(fault.lo for fault in group),
            # Without a witness nobody knows by when it had taken effect; such a run is void, not narrow.
            hi=max(fault.lo if fault.hi is None else fault.hi for fault in group),
            steps=tuple(dict.fromkeys(fault.step for fault in group)),
            events=tuple(sorted(n for fault in group for n in fault.events)),
        )
        for number, group in groups.items()
    ]
    return tuple(sorted(volleys, key=lambda volley: volley.lo))


def _gaps(events: list[Event]) -> Iterator[ProxyGap]:
    """One that had not gone on when it was noticed lasted until it says itself for how long, or to the end."""
    whole = [e for e in events if e.kind == "proxy.held-up" and isinstance(e.data.get("hi"), int)]
    for event in events:
        data = event.data
        if event.kind == "proxy.restarted":
            yield ProxyGap(tuple(data["links"]), data["lo"], data["hi"], event.n)
        elif event.kind == "proxy.held-up":
            hi = data.get("hi")
            if not isinstance(hi, int):
                if any(one.n > event.n and one.data["lo"] <= event.t <= one.data["hi"] for one in whole):
                    continue
                hi = max(one.t for one in events)
            yield ProxyGap(tuple(data["links"]), data["lo"], hi, event.n, True, data["why"])


def _decisions(events: Iterable[Event], plan: Plan) -> tuple[DecisionSpan, ...]:
    begun: dict[str, int] = {}
    made = []
    for event in events:
        step = event.data.get("step")
        if event.kind == "decision.begin" and step is not None:
            begun[step] = event.t
        elif event.kind == "decision.end" and step is not None:
            data = event.data
            begin = begun.get(step, event.t)
            span = (begin, event.t, data["takes_ns"], data["slept_ns"])
            made.append(DecisionSpan(step, *span, event.n, _followed(step, plan)))
    return tuple(made)


def _followed(step: str, plan: Plan) -> frozenset[str]:
    before = {
        one.id: (one.when.done or one.when.begun) if one.when is not None else one.after_step
        for one in plan.steps
    }
    found: list[str] = []
    at = before.get(step)
    while at is not None and at not in found:
        found.append(at)
        at = before.get(at)
    return frozenset(found)


def _responses(events: Iterable[Event]) -> tuple[ResponseSpan, ...]:
    spans: dict[str, ResponseSpan] = {}
    for event in events:
        step = event.data.get("step")
        if event.kind == "response.begin" and step is not None:
            spans[step] = ResponseSpan(step, event.t, None, (event.n,))
        elif event.kind == "response.done" and step in spans:
            begun = spans[step]
            spans[step] = ResponseSpan(step, begun.begin, event.t, (*begun.events, event.n))
    return tuple(spans.values())
