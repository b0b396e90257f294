"""Findings: what is worth an engineer's time and is no verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chaoskit.judge.detection_share import detection_share
from chaoskit.judge.redundancy import second_failures
from chaoskit.judge.wording import bounds, money, share, span
from chaoskit.metrics.ages import unheard_age
from chaoskit.model.history import Event, History
from chaoskit.model.measurement import Interval, JourneyMeasure, Measurements
from chaoskit.model.verdict import Finding

_STALE = "Something that was no longer the primary went on acknowledging."
_SPOILT = "What somebody damages, the primary itself may have acknowledged."

MISSED_SHARE = 0.1
LOAD_LATE_MS = 10.0
"""A p99 of the load's own lateness above this may have bent its arrivals (MEASUREMENT: 0.1–1.2 ms is usual)."""
LATER_NS = 1_000_000_000


def findings_of(history: History, measurements: Measurements) -> tuple[Finding, ...]:
    """Everything found, the gravest first."""
    return (
        *_books(measurements),
        *second_failures(measurements),
        *_failures(history.events),
        *_unnoticed(measurements),
        *detection_share(history, _longest(measurements.journeys)),
        *_people(measurements),
        *_journeys(measurements),
        *_ages(history),
        *_measurer(measurements),
    )


def _middle(interval: Interval) -> float | None:
    return None if interval.hi is None else (interval.lo + interval.hi) / 2


def _books(measurements: Measurements) -> Iterator[Finding]:
    for books in measurements.books.values():
        if len(books.writable) > 1:
            members = " and ".join(books.writable)
            yield Finding(
                title=f"split brain: {members} both accept writes to the books {books.books}",
                detail="Neither can be called the surviving ledger. Fence the old primary before promoting another.",
            )
    spoilt = any(fault.name.startswith(("attack.", "mistake.")) for fault in measurements.faults)
    for loss in measurements.losses.values():
        started = measurements.clocks.started
        late = [
            o for o in loss.lost if started is not None and started.hi is not None and o.done > started.hi
        ]
        if late:
            yield Finding(
                title=f"{len(late)} operations were acknowledged after the fault and are lost",
                detail=f"{_SPOILT if spoilt else _STALE} First: {', '.join(o.key for o in late[:5])}",
            )
        if loss.holes:
            yield Finding(
                title=f"{len(loss.holes)} lost operations cannot be replication lag",
                detail=f"{loss.holes[0][0]} is lost; {loss.holes[0][1]}, sent after its acknowledgement, is there.",
            )
        if loss.lost and loss.amount:
            sums = ", ".join(money(amount, currency) for currency, amount in loss.amount.items())
            balance = [
                b for b in measurements.books.values() if b.books == loss.books and not b.broken("total")
            ]
            exact = "; the sum of all balances is still exactly right" if balance else ""
            yield Finding(title=f"{len(loss.lost)} acknowledged operations lost, {sums}{exact}")


def _ages(history: History) -> Iterator[Finding]:
    for name in history.plan.load:
        if fields := unheard_age(history, name):
            yield Finding(
                title=f"{name}: no answer had the field that `read: age` names, "
                f"{history.plan.system.journeys[name].read.age!r}",
                detail=f"Answers had: {', '.join(sorted(fields))}. Nothing was old, or an old answer says its age "
                "otherwise and was counted as a new one.",
            )


def _failures(events: tuple[Event, ...]) -> Iterator[Finding]:
    for event in events:
        data = event.data
        if event.kind == "service.exit":
            tail = data.get("log_tail") or []
            lines = tail if isinstance(tail, list) else [tail]
            yield Finding(
                title=f"{data.get('service')} ended unasked: {data.get('status')} (event {event.n})",
                detail="\n".join(str(line) for line in lines),
            )
        elif event.kind == "response.failed":
            yield Finding(
                title=f"the response {data.get('step')} failed (event {event.n})",
                detail=str(data.get("error")),
            )
        elif event.kind == "proxy.restarted":
            yield Finding(
                title=f"a proxy of the links had to be started anew (event {event.n})",
                detail=f"{data.get('network')}: {data.get('why')}. What crossed it in that time is unknown.",
            )
        elif event.kind == "proxy.held-up" and data.get("hi") is None:
            yield Finding(
                title=f"the proxy of the links was silent for more than two seconds (event {event.n})",
                detail=f"{data.get('why')}. What crossed it in that time is unknown.",
            )
        elif event.kind == "trouble":
            yield Finding(title=f"trouble in the run itself (event {event.n})", detail=str(data.get("what")))
        elif event.kind == "probe.looked" and data.get("ok") is False:
            found = data.get("found") or []
            named = "\n".join(str(one) for one in found) if isinstance(found, list) else str(found)
            yield Finding(title=f"{data.get('name')}: {data.get('detail')} (event {event.n})", detail=named)
        elif event.kind == "response.fact":
            lag = {k: v for k, v in data.items() if "lag" in k and isinstance(v, int | float) and v}
            if lag:
                told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in lag.items())
                yield Finding(
                    title=f"the standby lagged when it was needed: {told} (event {event.n})",
                    detail=_REPLAYED if "replay_lag_bytes" in lag else "",
                )


_REPLAYED = (
    "It had received this and not replayed it: nothing of it is lost, but the promotion waited for it. What a standby "
    "has not received dies with its primary, and delays nobody."
)


def _longest(journeys: Mapping[str, JourneyMeasure]) -> JourneyMeasure | None:
    bad = [j for j in journeys.values() if j.rta is not None and j.rta.hi is not None and not j.never_bad]
    return max(bad, key=lambda j: j.rta.hi if j.rta and j.rta.hi else 0, default=None)


def _unnoticed(measurements: Measurements) -> Iterator[Finding]:
    """Green may mean that the system bore it, or that no journey has anything to do with what was broken."""
    journeys = measurements.journeys.values()
    unnoticed = all(journey.never_bad and journey.unseen is None for journey in journeys)
    if measurements.faults and journeys and unnoticed:
        hit = ", ".join(dict.fromkeys(f"{fault.name} on {fault.target}" for fault in measurements.faults))
        yield Finding(
            title="no probe noticed any fault",
            detail=f"Not one probe was bad after {hit}. Either the system bears it, or no journey depends on what was "
            "broken: links say what may be used, not what a journey did use. `chaoskit prove` leaves the recovery out "
            "to tell the two apart.",
        )


def _people(measurements: Measurements) -> Iterator[Finding]:
    longest = _longest(measurements.journeys)
    people = measurements.clocks.decided_modelled
    if longest is None or longest.rta is None or not people:
        return
    machine = _middle(longest.rta) or 0
    lived = measurements.clocks.decided_lived
    ratio = people / (people + machine)
    if ratio > 0.5:
        yield Finding(
            title=f"people take {round(100 * ratio)} % of the recovery",
            detail=f"{span(people)} of decisions, modelled ({span(lived)} of it lived), against "
            f"{bounds(longest.rta)} of machine time for {longest.journey}.",
        )


def _journeys(measurements: Measurements) -> Iterator[Finding]:
    measured = [j for j in measurements.journeys.values() if j.rta is not None]
    ended = [j for j in measured if j.rta is not None and j.rta.hi is not None and not j.never_bad]
    if len(ended) > 1:
        first = min(ended, key=lambda j: j.rta.hi if j.rta and j.rta.hi else 0)
        for other in ended:
            assert other.rta is not None
            assert first.rta is not None
            assert first.rta.hi is not None
            if other.rta.lo > first.rta.hi + LATER_NS and other.rta.lo > 1.5 * first.rta.hi:
                yield Finding(
                    title=f"{other.journey} recovered later than {first.journey}",
                    detail=f"{bounds(other.rta)} against {bounds(first.rta)} after the fault.",
                )
    for journey in measurements.journeys.values():
        if journey.bad_again:
            yield Finding(
                title=f"{journey.journey} was bad again after its recovery had held",
                detail=f"{journey.bad_again} bad probes. The recovery time is that of the first recovery that held.",
            )
        if (met := journey.unseen) is not None:
            since = "its recovery" if journey.outages else "the fault"
            yield Finding(
                title=f"{met.bad} of {journey.journey} were not ok after {since}, and hardly a probe showed it",
                detail=f"They are {met.bad} of {met.of} in a row, more than before the fault and than chance. "
                "Some customers are served by what no probe goes through, or the probes were lucky.",
            )
        if journey.scheduled and journey.missed >= MISSED_SHARE * journey.scheduled:
            yield Finding(
                title=f"{share(journey.missed / journey.scheduled)} of {journey.journey} was never sent",
                detail=f"{journey.missed} of {journey.scheduled} scheduled operations, all bad. The system held on "
                "to too many at once, or this machine was too slow for the load.",
            )


def _measurer(measurements: Measurements) -> Iterator[Finding]:
    late = measurements.load_lateness_ms.get("p99", 0.0)
    if late > LOAD_LATE_MS:
        yield Finding(
            title=f"the load was late: p99 {late:.1f} ms",
            detail="This machine was too busy to keep the schedule; latencies still count from the intended time.",
        )
    late = measurements.prober_lateness_ms.get("p99", 0.0)
    shortest = min((j.probe_period for j in measurements.journeys.values()), default=0) / 1e6
    if shortest and late > shortest / 2:
        yield Finding(
            title=f"the prober was late: p99 {late:.1f} ms of a period of {shortest:.0f} ms",
            detail="Bounds are widened by it; a probe later than its period makes the measurement invalid.",
        )
