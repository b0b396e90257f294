"""Whom a release hit while it was being rolled out: customers' requests from its first change until the stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chaoskit.metrics.arrivals import is_arrival, is_good
from chaoskit.metrics.diagnosis import since
from chaoskit.metrics.timeline import FaultSpan
from chaoskit.metrics.way_back import way_back
from chaoskit.model.history import History, Operation
from chaoskit.model.measurement import BooksMeasure, Hit, Interval, LossMeasure, RollOutMeasure
from chaoskit.model.plan import Plan


def measure_roll_outs(
    history: History,
    faults: Sequence[FaultSpan],
    losses: Mapping[str, LossMeasure],
    books: Mapping[str, BooksMeasure],
    started: Interval | None,
) -> tuple[RollOutMeasure, ...]:
    """Each stop of a witnessed roll-out; one that nobody stopped is not here."""
    return tuple(_measured(history, faults, losses, books, started))


def _measured(
    history: History,
    faults: Sequence[FaultSpan],
    losses: Mapping[str, LossMeasure],
    books: Mapping[str, BooksMeasure],
    started: Interval | None,
) -> Iterator[RollOutMeasure]:
    plan, operations = history.plan, history.operations
    for event in history.events:
        data = event.data
        release = data.get("release")
        if (
            event.kind != "response.fact"
            or data.get("fact") != "halted"
            or release not in plan.system.releases
        ):
            continue
        seen = [one.hi for one in faults if one.target == release and one.hi is not None and one.hi < event.t]
        if not seen:
            continue
        yield RollOutMeasure(
            release=str(release),
            changed=tuple(map(str, data.get("changed") or ())),
            services=plan.system.releases[str(release)].services,
            after=since(started, event.t),
            hit={name: _hit(name, operations, plan, max(seen), event.t) for name in plan.load},
            way_back=way_back(event, history.events, losses, books, started),
            event=event.n,
        )


def _hit(journey: str, operations: Sequence[Operation], plan: Plan, lo: int, hi: int) -> Hit:
    """The load's own requests in that time, each at its first attempt."""
    within = plan.system.journeys[journey].good.within.ns
    asked = [
        one
        for one in operations
        if one.journey == journey and one.source == "load" and is_arrival(one) and lo <= one.intended < hi
    ]
    return Hit(asked=len(asked), bad=sum(not is_good(one, within) for one in asked))
