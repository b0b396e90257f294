"""What the scorecard and `explain` say of a stand-in: what it accepted, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chaoskit.judge.clock_row import ClockRow
from chaoskit.judge.paper import Paper, listed
from chaoskit.judge.wording import money
from chaoskit.model.measurement import Interval, StandInMeasure


def row(measure: StandInMeasure, since: Interval | None) -> ClockRow:
    """Its row among the clocks: when the last replay had ended, after the fault that lasted from and until `since`."""
    return ClockRow(
        "stand-in",
        measure.journey,
        in_words(measure),
        after=measure.replayed,
        since=since,
        until=measure.events[-1] if measure.events else None,
        events=measure.events,
        same=f"{measure.journey}.stand-in",
    )


def in_words(measure: StandInMeasure) -> str:
    """`48 accepted (1234.00 CNY): 46 booked, 2 double-spent (31.00 CNY), 0 over the limit (0.00 CNY)`."""
    coin = next(iter(measure.amount), "")
    spent = sum(promise.amount or 0 for promise in measure.double_spent)
    parts = [
        f"{measure.booked} booked",
        f"{len(measure.double_spent)} double-spent ({money(spent, coin)})",
        f"{len(measure.over_limit)} over the limit ({money(sum(o.over for o in measure.over_limit), coin)})"
        if measure.limit is not None
        else "no limit",
    ]
    if measure.unbooked:
        parts.append(f"{len(measure.unbooked)} not booked")
    if measure.healed:
        parts.append(f"{len(measure.healed)} had been acknowledged before, lost, and are back by it")
    sums = ", ".join(money(amount, currency) for currency, amount in measure.amount.items())
    done = "" if measure.events else ", never replayed"
    return f"{measure.accepted} accepted ({sums}){done}: {', '.join(parts)}"


def _whole(paper: Paper, journey: str) -> str:
    measure = paper.measurements.stand_ins[journey]
    return listed(
        f"{journey}.stand-in: {in_words(measure)}",
        [
            "accepted: keys whose customers were told that it will be done, and is not yet",
            "booked: of them, those that have a transaction in the surviving books",
            *(f"replayed by event {number}" for number in measure.events),
            *(f"not booked, and nobody says why: {promise.key}" for promise in measure.unbooked),
            *(f"acknowledged, lost, and booked by the replay: {key}" for key in measure.healed),
        ],
    )


def _double_spent(paper: Paper, journey: str) -> str:
    measure = paper.measurements.stand_ins[journey]
    lines = [
        f"{promise.key}: {money(promise.amount or 0, promise.currency)}, and its payer had no more than "
        f"{money(max(0, promise.least or 0), promise.currency)} at some time since"
        for promise in measure.double_spent
    ]
    spent = sum(promise.amount or 0 for promise in measure.double_spent)
    head = f"{journey}.double-spent: {len(lines)} keys, {money(spent, next(iter(measure.amount), ''))}"
    return listed(
        head,
        [
            "accepted, not in the surviving books, listed by the system as no longer covered, and the payer's balance "
            "was too low for it at some time since what he had last been acknowledged before he asked",
            *lines,
        ],
    )


def _over_limit(paper: Paper, journey: str) -> str:
    measure = paper.measurements.stand_ins[journey]
    coin = next(iter(measure.amount), "")
    over = sum(case.over for case in measure.over_limit)
    if measure.limit is None:
        return f"{journey}.over-limit: no limit is declared"
    return listed(
        f"{journey}.over-limit: {len(measure.over_limit)} keys, {money(over, coin)}",
        [
            f"each customer's acceptances that no replay has settled yet, in the order of their answers; more than "
            f"{money(measure.limit, coin)} is over the limit",
            *(
                f"{case.key}: {case.customer} had then been promised {money(case.promised, coin)}, "
                f"{money(case.over, coin)} of this one too much"
                for case in measure.over_limit
            ),
        ],
    )


NUMBERS: Mapping[str, Callable[[Paper, str], str]] = {
    "stand-in": _whole,
    "double-spent": _double_spent,
    "over-limit": _over_limit,
}
"""What can be asked of a journey that somebody stood in for."""
