"""Judges the clock `redundancy-restored`, and says what it was, on the scorecard and on paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.judge.clock_row import ClockRow
from chaoskit.judge.paper import Paper, doubt, listed
from chaoskit.judge.wording import bounds, money, span
from chaoskit.model.measurement import Interval, Measurements
from chaoskit.model.redundancy import REDUNDANCY_RESTORED, RedundancyMeasure, SecondFailure
from chaoskit.model.verdict import Finding, Verdict
from chaoskit.quantity import Duration

_MB = 1_000_000


def judge_redundancy(limit: Duration, measures: Sequence[RedundancyMeasure]) -> Verdict:
    """Every role with a standby: pass ⇔ the upper bound, with modelled human time, ≤ limit · fail ⇔ the lower bound >
    limit · else unknown. The worst of them is the verdict."""
    name, asked = f"{REDUNDANCY_RESTORED}.rto", str(limit)
    if not measures:
        why = "not exercised: the run did not look at the redundancy of any database"
        return Verdict(name=name, outcome="unknown", reason=why, objective=asked, exercised=False)
    judged = [_judged(name, limit, one, len(measures) > 1) for one in measures]
    return min(judged, key=lambda one: ("fail", "unknown", "pass").index(one.outcome))


def _judged(name: str, limit: Duration, measure: RedundancyMeasure, named: bool) -> Verdict:
    about = {"name": name, "objective": str(limit), "events": measure.events}
    who = f"{measure.role}: " if named else ""
    total = measure.total
    if measure.invalid or total is None:
        why = "; ".join(measure.invalid) or "no interval"
        reason = f"{who}the measurement cannot be used: {why}"
        return Verdict.model_validate({**about, "outcome": "unknown", "reason": reason})
    met = total.hi is not None and total.hi <= limit.ns
    outcome = "pass" if met else "fail" if total.lo > limit.ns else "unknown"
    reason = f"{who}{_in_words(measure, total)}"
    if outcome == "pass" and measure.blind > limit.ns:
        outcome = "unknown"
        reason += f"; but for {span(measure.blind)} a member did not say what it is"
    if outcome == "unknown":
        reason += f": inconclusive against {limit}"
    return Verdict.model_validate(
        {**about, "outcome": outcome, "reason": reason, "measured": bounds(measure.restored)}
    )


def _in_words(measure: RedundancyMeasure, total: Interval) -> str:
    people = (
        f" (machine {bounds(measure.restored)} and people {span(measure.modelled)} modelled)"
        if measure.modelled
        else ""
    )
    if measure.never_lost:
        return f"a standby streamed at every look after the fault ({bounds(total)})"
    if total.hi is None:
        return f"no standby had caught up when the run ended, {bounds(total)} after the fault{people}"
    return f"a standby has caught up again after {bounds(total)}{people}"


def rows(measurements: Measurements) -> Iterator[ClockRow]:
    """Rows among the clocks: one for each role, one for each planned change of roles."""
    for one in measurements.redundancy:
        yield ClockRow(
            "redundancy restored",
            "",
            "; ".join(_how(one)),
            after=None if one.invalid else one.restored,
            shown="unknown" if one.invalid else bounds(one.restored),
            same=REDUNDANCY_RESTORED,
        )
    for switch in measurements.switches:
        what = (
            f"no write was confirmed for {span(switch.paused)} while {switch.service} took over, as planned"
        )
        how = "as the response that made it took the time itself: `paused_ms` of this event"
        yield ClockRow("writes paused", switch.step, what, events=(switch.event,), how=(how,))


def _how(one: RedundancyMeasure) -> Iterator[str]:
    if one.invalid:
        yield "; ".join(one.invalid)
        return
    yield f"a standby streams from {one.writer}" if one.writer else f"{one.role} has no standby"
    if (rejoin := one.rejoin) is not None:
        how = f"{rejoin.method}: {rejoin.bytes / _MB:.1f} MB in {rejoin.seconds:.2f} s"
        yield f"{how}, since it could not be rewound" if rejoin.fell_back else how
    if one.second:
        yield f"{_count(one.second)} came before"
    if one.modelled:
        yield f"{span(one.modelled)} of people on top, modelled"


def second_failures(measurements: Measurements) -> Iterator[Finding]:
    """What came of a failure that struck while no standby was there: the outage, and what was lost."""
    for one in measurements.redundancy:
        for second in one.second:
            yield Finding(
                title=f"a second failure before redundancy was back: {second.name} on {second.target}, "
                f"{bounds(second.after)} after the first",
                detail="\n".join(_outcome(one, second, measurements)),
            )


def _outcome(one: RedundancyMeasure, second: SecondFailure, measurements: Measurements) -> Iterator[str]:
    if second.no_writer is None:
        yield f"{one.role} had a writer all the time."
    elif second.no_writer.hi is None:
        yield f"Nobody accepted writes from then until the run ended, {bounds(second.no_writer)}: no standby was left."
    else:
        yield f"Nobody accepted writes for {bounds(second.no_writer)}: no standby was left to take over."
    for journey in measurements.journeys.values():
        if journey.rta is not None and not journey.never_bad:
            yield f"{journey.journey} was good again {bounds(journey.rta)} after the first failure."
    for loss in measurements.losses.values():
        if loss.problems:
            yield f"What was lost of {loss.books} is unknown: {loss.problems[0]}."
            continue
        sums = ", ".join(money(amount, currency) for currency, amount in loss.amount.items())
        keys = ", ".join(operation.key for operation in loss.lost)
        yield f"{len(loss.lost)} of {loss.acknowledged} acknowledged operations lost" + (
            f", {sums}: {keys}" if loss.lost else "."
        )
    yield f"Redundancy: {_in_words(one, one.restored)}." if one.restored else "Redundancy: unknown."


def explain_redundancy(paper: Paper) -> str:
    """From which looks the interval comes."""
    parts = []
    for one in paper.measurements.redundancy:
        head = f"{REDUNDANCY_RESTORED} of {one.role}: {'unknown' if one.invalid else bounds(one.restored)}"
        text = list(one.invalid)
        text.append(
            f"{one.looks} looks at both members, {one.unseen} of which told nothing: who accepts writes, and in its "
            "pg_stat_replication how far a standby that streams has replayed"
        )
        if not one.invalid and one.never_lost:
            text.append("at each of them after the fault a standby streamed")
        elif not one.invalid:
            text += _arithmetic(paper, one)
        parts.append(listed(head, text))
    return "\n\n".join(parts)


def _arithmetic(paper: Paper, one: RedundancyMeasure) -> Iterator[str]:
    assert one.clock is not None
    assert one.clock.hi is not None
    assert one.restored is not None
    yield f"f_lo {paper.at(one.clock.lo)}, f_hi {paper.at(one.clock.hi)}"
    if (rejoin := one.rejoin) is not None:
        yield (
            f"rejoin ended {paper.at(rejoin.ended)} (event {rejoin.event}): {rejoin.service} follows {rejoin.follows}, "
            f"by {rejoin.method}, {rejoin.bytes} bytes in {rejoin.seconds:g} s; the primary stood at {rejoin.position}"
        )
        if rejoin.fell_back:
            yield f"it could not be rewound: {rejoin.fell_back}"
    earliest = rejoin.ended if rejoin is not None else 0
    if (event := paper.event(one.not_yet or 0)) is not None:
        told = event.data
        state = "nobody streamed" if told.get("replayed") is None else f"replayed {told['replayed']}"
        if rejoin is not None and told["asked"] < rejoin.ended:
            state += ", and rejoin had not ended"
        yield f"last look at which it was not: asked {paper.at(told['asked'])} (event {event.n}): {state}"
        earliest = max(earliest, told["asked"])
    yield f"lower bound = the later of these − f_hi = {(earliest - one.clock.hi) / 1e9:.6f} s"
    adds_up = one.restored.lo == max(0, earliest - one.clock.hi)
    if (event := paper.event(one.back or 0)) is not None:
        told = event.data
        yield (
            f"first look at which it was: answered {paper.at(told['answered'])} (event {event.n}): "
            f"{told['writer']} writes, replayed {told['replayed']} of the {one.needed} that were needed"
        )
        upper = told["answered"] - one.clock.lo
        yield f"upper bound = that − f_lo = {upper / 1e9:.6f} s"
        adds_up = adds_up and one.restored.hi == max(one.restored.lo, upper)
    else:
        yield "upper bound: none, it was not restored when the run ended"
    yield from doubt(adds_up)


def _count(second: Sequence[SecondFailure]) -> str:
    return "a second failure" if len(second) == 1 else f"{len(second)} more failures"
