"""Judges objectives: an interval passes when all of it is within, fails when none is, and is unknown in between."""

from __future__ import annotations

from collections.abc import Mapping

from chaoskit.judge.books_clocks import with_books
from chaoskit.judge.limit import with_people, within
from chaoskit.judge.minimum import judge_minimum
from chaoskit.judge.redundancy import judge_redundancy
from chaoskit.judge.wording import bounds, money, share, span
from chaoskit.model.drill import Drill, Objective
from chaoskit.model.journey import MINIMUM_SERVICE
from chaoskit.model.measurement import Interval, JourneyMeasure, LossMeasure, Measurements
from chaoskit.model.plan import Plan
from chaoskit.model.redundancy import REDUNDANCY_RESTORED
from chaoskit.model.verdict import Verdict
from chaoskit.quantity import Duration, Percent

ALL = "*"


def judge_objectives(asked: Drill, plan: Plan, measurements: Measurements) -> tuple[Verdict, ...]:
    """A verdict for every objective that was asked for, journey by journey; what was not measured is unknown."""
    whole = (ALL, MINIMUM_SERVICE, REDUNDANCY_RESTORED)
    named = [journey for journey in asked.objectives if journey not in whole]
    journeys = list(dict.fromkeys([*(plan.load if ALL in asked.objectives else ()), *named]))
    verdicts: list[Verdict] = []
    for journey in [*(j for j in plan.load if j in journeys), *(j for j in journeys if j not in plan.load)]:
        verdicts += _journey(journey, asked, plan, measurements)
    if (minimum := asked.objectives.get(MINIMUM_SERVICE)) is not None and minimum.rto is not None:
        verdicts.append(judge_minimum(minimum.rto, measurements.minimum_service))
    if (redundant := asked.objectives.get(REDUNDANCY_RESTORED)) is not None and redundant.rto is not None:
        verdicts.append(judge_redundancy(redundant.rto, measurements.redundancy))
    return tuple(verdicts)


def _journey(journey: str, asked: Drill, plan: Plan, measurements: Measurements) -> list[Verdict]:
    objective = asked.objective(journey)
    measure = measurements.journeys.get(journey)
    verdicts = []
    if objective.rto is not None:
        verdicts.append(with_books(_rto(journey, objective.rto, measure), objective.rto.ns, measure))
    if objective.minimum_service is not None:
        verdicts.append(_minimum(journey, objective.minimum_service, measure))
    if objective.success is not None:
        verdicts.append(_success(journey, objective.success, measure))
    loss = _loss_of(journey, plan, measurements.losses)
    own = asked.objectives.get(journey, Objective())
    if objective.lost is not None and (loss is not None or own.lost is not None or _no_books(plan)):
        verdicts.append(_lost(journey, objective.lost, loss))
    if objective.rpo is not None and (loss is not None or own.rpo is not None or _no_books(plan)):
        verdicts.append(_rpo(journey, objective.rpo, loss))
    return verdicts


def _loss_of(journey: str, plan: Plan, losses: Mapping[str, LossMeasure]) -> LossMeasure | None:
    spec = plan.system.journeys.get(journey)
    return losses.get(spec.books) if spec is not None and spec.books is not None else None


def _no_books(plan: Plan) -> bool:
    """'*' asks every journey that has books; if none has, that must not pass for an answer."""
    return not any(plan.system.journeys[j].books for j in plan.load if j in plan.system.journeys)


def verdict(name: str, outcome: str, reason: str, **more: object) -> Verdict:
    """A verdict whose outcome was computed."""
    return Verdict.model_validate({"name": name, "outcome": outcome, "reason": reason, **more})


def _rto(journey: str, limit: Duration, measure: JourneyMeasure | None) -> Verdict:
    name = f"{journey}.rto"
    if (unknown := _unmeasured(name, str(limit), measure)) is not None:
        return unknown
    assert measure is not None
    assert measure.rta is not None
    if measure.never_bad:
        total = with_people(measure.rta, measure.modelled)
        outcome = within(total, limit.ns)
        reason = f"no probe was bad: an outage, if any, was shorter than the probe's period ({bounds(measure.rta)})"
        if (met := measure.unseen) is not None:
            reason = (
                f"no probe was bad, but {met.bad} of {met.of} operations of the load were not ok, more than before the "
                f"fault and than chance: the last of all was over after {bounds(measure.rta)}"
            )
        if measure.modelled:
            reason += (
                f"; but customers were waiting while people decided, which takes {span(measure.modelled)}: "
                f"recovered after {bounds(total)}"
            )
        return verdict(
            name, outcome, reason, objective=str(limit), measured=bounds(measure.rta), events=measure.events
        )
    return _timed(name, "recovered", limit, measure, measure.rta, measure.modelled)


def _minimum(journey: str, limit: Duration, measure: JourneyMeasure | None) -> Verdict:
    name = f"{journey}.minimum-service"
    if (unknown := _unmeasured(name, str(limit), measure)) is not None:
        return unknown
    assert measure is not None
    if measure.minimum_service is None:
        return verdict(name, "unknown", "minimum service was not measured", objective=str(limit))
    timed = _timed(
        name, "back at minimum service", limit, measure, measure.minimum_service, measure.minimum_modelled
    )
    return timed.model_copy(update={"reason": f"{timed.reason}, within {limit} asked for"})


def _timed(
    name: str, what: str, limit: Duration, measure: JourneyMeasure, machine: Interval, modelled: int
) -> Verdict:
    total = with_people(machine, modelled)
    outcome = within(total, limit.ns)
    people = f" (machine {bounds(machine)} and people {span(modelled)} modelled)" if modelled else ""
    reason = f"{what} after {bounds(total)}{people}"
    if machine.hi is None:
        reason = f"not {what} when the run ended, more than {bounds(total)[2:]} after the fault{people}"
        if outcome == "unknown":
            reason += f": that does not settle {limit}; let the drill run longer"
    elif outcome == "unknown":
        reason += f": inconclusive against {limit}; probe faster than every {span(measure.probe_period)}"
    return verdict(
        name, outcome, reason, objective=str(limit), measured=bounds(machine), events=measure.events
    )


def _unmeasured(name: str, objective: str, measure: JourneyMeasure | None) -> Verdict | None:
    if measure is None:
        return verdict(
            name, "unknown", "the journey was not probed in this run", objective=objective, exercised=False
        )
    if measure.invalid:
        reason = "the measurement cannot be used: " + "; ".join(measure.invalid)
        measured = bounds(measure.rta) if measure.rta else None
        return verdict(name, "unknown", reason, objective=objective, measured=measured, events=measure.events)
    if measure.rta is None:
        return verdict(name, "unknown", "recovery was not measured", objective=objective)
    return None


def _success(journey: str, limit: Percent, measure: JourneyMeasure | None) -> Verdict:
    name = f"{journey}.success"
    if measure is None or not measure.scheduled:
        return verdict(
            name,
            "unknown",
            "not exercised: no operation was scheduled",
            objective=str(limit),
            exercised=False,
        )
    reason = f"{share(measure.good_ratio)} good ({measure.good} of {measure.scheduled} operations), {limit} asked for"
    outcome = "pass" if measure.good_ratio >= limit.ratio - 1e-12 else "fail"
    ours = measure.slept + measure.held
    if outcome == "fail" and (measure.good + ours) / measure.scheduled >= limit.ratio - 1e-12:
        outcome = "unknown"
        slept = f"the load slept through {measure.slept} of them" if measure.slept else ""
        held = f"{measure.held} were bad while the proxy of its links was held up" if measure.held else ""
        reason += f"; but {' and '.join(filter(None, (slept, held)))}: this machine was too busy"
    if outcome == "pass" and measure.unsure:
        outcome, reason = "unknown", f"{reason}; but {measure.unsure[0]}"
    return verdict(name, outcome, reason, objective=str(limit), measured=share(measure.good_ratio))


def _not_judged(name: str, objective: str, journey: str, loss: LossMeasure | None) -> Verdict | None:
    if loss is None:
        why = "not exercised: the journey names no books in which its operations could be looked for"
        return verdict(name, "unknown", why, objective=objective, exercised=False)
    if loss.problems:
        return verdict(
            name, "unknown", loss.problems[0], objective=objective, details=loss.problems, events=loss.events
        )
    if not loss.acknowledged_by_journey.get(journey):
        why = "not exercised: no operation was acknowledged"
        return verdict(name, "unknown", why, objective=objective, exercised=False)
    return None


def _lost(journey: str, most: int, loss: LossMeasure | None) -> Verdict:
    name = f"{journey}.lost"
    if (unknown := _not_judged(name, str(most), journey, loss)) is not None:
        return unknown
    assert loss is not None
    lost = loss.missing(journey)
    sums: dict[str | None, int] = {}
    for operation in lost:
        if operation.amount is not None:
            sums[operation.currency] = sums.get(operation.currency, 0) + operation.amount
    unbooked = sum(one.journey == journey for one in loss.unbooked)
    reason = f"{len(lost) - unbooked} of {loss.acknowledged_by_journey[journey]} acknowledged operations lost"
    if promised := sum(one.journey == journey for one in loss.promised):
        reason += f", {unbooked} of {promised} that were accepted to be done later not booked"
    if most:
        reason += f", {most} allowed"
    if sums:
        reason += ": " + ", ".join(money(amount, currency) for currency, amount in sums.items())
    outcome = "pass" if len(lost) <= most else "fail"
    if outcome == "fail" and len(loss.surely(journey)) <= most:
        outcome, reason = "unknown", f"{reason}; but {loss.doubt}"
    return verdict(
        name,
        outcome,
        reason,
        objective=str(most),
        measured=str(len(lost)),
        events=loss.events,
        details=tuple(
            f"{o.key}" if o.amount is None else f"{o.key} {money(o.amount, o.currency)}" for o in lost
        ),
    )


def _rpo(journey: str, limit: Duration, loss: LossMeasure | None) -> Verdict:
    name = f"{journey}.rpo"
    if (unknown := _not_judged(name, str(limit), journey, loss)) is not None:
        return unknown
    assert loss is not None
    if unbooked := sum(operation.journey == journey for operation in loss.unbooked):
        reason = (
            f"{unbooked} that were accepted to be done later are not booked: no recovery point covers them"
        )
        return verdict(name, "fail", reason, objective=str(limit), events=loss.events)
    if not any(operation.journey == journey for operation in loss.lost):
        n = loss.acknowledged_by_journey[journey]
        return verdict(
            name, "pass", f"0 of {n} acknowledged operations lost", objective=str(limit), measured="0"
        )
    point = loss.rpa_by_journey.get(journey)
    if point is None:
        return verdict(
            name, "unknown", "operations were lost, but by no fault that was recorded", objective=str(limit)
        )
    reason = f"the oldest loss lies {bounds(point)} before the fault, {limit} asked for"
    outcome = within(point, limit.ns)
    if outcome == "fail" and not _surely_beyond(loss, journey, point, limit):
        outcome, reason = "unknown", f"{reason}; but {loss.doubt}"
    later = [o for o in loss.lost if o.journey == journey and o.key in loss.later]
    if later and outcome != "fail":
        sure = any(o in loss.surely(journey) for o in later)
        reason = (
            f"{len(later)} lost operations were asked for after the fault, and {limit} is of those before it"
        )
        outcome, reason = ("fail", reason) if sure else ("unknown", f"{reason}; but {loss.doubt}")
    return verdict(
        name,
        outcome,
        reason,
        objective=str(limit),
        measured=bounds(point),
        events=loss.events,
    )


def _surely_beyond(loss: LossMeasure, journey: str, point: Interval, limit: Duration) -> bool:
    """Whether the recovery point of what is lost for certain alone would be missed; `point` is that of all."""
    oldest = min(o.done for o in loss.lost if o.journey == journey)
    sure = [o.done for o in loss.surely(journey) if o in loss.lost]
    return bool(sure) and point.lo - (min(sure) - oldest) > limit.ns
