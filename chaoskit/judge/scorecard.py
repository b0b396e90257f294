"""The scorecard: one row a journey, every cell a string that is ready to be printed."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.judge.wording import NOTHING, bounds, share
from chaoskit.model.drill import Drill
from chaoskit.model.measurement import JourneyMeasure, LossMeasure, Measurements
from chaoskit.model.plan import Plan
from chaoskit.model.verdict import Verdict

SETTLED = ("posted", "absent")


def scorecard_of(
    asked: Drill, plan: Plan, measurements: Measurements, verdicts: Sequence[Verdict]
) -> tuple[dict[str, str], ...]:
    """Rows with the columns journey, good, RTA (bounds), RTO, lost, in doubt, verdict."""
    rows = []
    for journey in dict.fromkeys([*plan.load, *measurements.journeys]):
        measure = measurements.journeys.get(journey)
        spec = plan.system.journeys[journey]
        loss = measurements.losses.get(spec.books) if spec.books else None
        rto = asked.objective(journey).rto
        rows.append(
            {
                "journey": journey,
                "good": share(measure.good_ratio) if measure and measure.scheduled else NOTHING,
                "RTA (bounds)": _rta(measure),
                "RTO": str(rto) if rto else NOTHING,
                "lost": _lost(journey, loss),
                "in doubt": _in_doubt(journey, loss),
                "verdict": _verdict(journey, verdicts),
            }
        )
    return tuple(rows)


def _rta(measure: JourneyMeasure | None) -> str:
    if measure is None or measure.rta is None:
        return "unknown"
    return f"{bounds(measure.rta)} (invalid)" if measure.invalid else bounds(measure.rta)


def _lost(journey: str, loss: LossMeasure | None) -> str:
    if loss is None:
        return NOTHING
    if loss.problems or loss.survivor is None:
        return "unknown"
    return str(len(loss.missing(journey)))


def _in_doubt(journey: str, loss: LossMeasure | None) -> str:
    """Keys that are still in doubt after they were looked for."""
    if loss is None:
        return NOTHING
    if loss.problems or loss.survivor is None:
        return "unknown"
    keys = loss.in_doubt_by_journey.get(journey, ())
    return str(sum(loss.in_doubt[key] not in SETTLED for key in keys))


def _verdict(journey: str, verdicts: Sequence[Verdict]) -> str:
    own = {verdict.outcome for verdict in verdicts if verdict.name.rpartition(".")[0] == journey}
    return next((outcome for outcome in ("fail", "unknown", "pass") if outcome in own), NOTHING)
