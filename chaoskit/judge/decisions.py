"""Judges decisions by people: one that was asked for is answered in time, and somebody is there to decide."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.judge.objectives import verdict
from chaoskit.judge.wording import span, tenths
from chaoskit.model.history import History
from chaoskit.model.measurement import DecisionMeasure, Measurements
from chaoskit.model.verdict import Verdict


def judge_decisions(measurements: Measurements) -> Iterator[Verdict]:
    """A verdict `decision.STEP` for each that was asked for, or that did not come about.

    Missed is a fail: nobody did the duty that the drill gives them, or not within its limit. Refused is unknown: the
    person may be right, but what was drilled is not what the drill says.
    """
    for one in measurements.decisions:
        name, limit = f"decision.{one.step}", None if one.within is None else span(one.within)
        if one.outcome == "missed":
            reason = f"{one.why}: the response {one.step} did not happen"
            yield verdict(name, "fail", reason, objective=limit, events=one.events)
        elif one.outcome == "refused":
            reason = (
                f"{one.who} refused it as {one.role} after {tenths(one.lived)}: {one.step} did not happen"
            )
            yield verdict(name, "unknown", reason, objective=limit, events=one.events)
        elif one.how == "asked" and one.within is not None and _answer(one) > one.within:
            reason = f"{one.who} decided it as {one.role} after {tenths(_answer(one))}, later than {limit} asked for"
            yield verdict(
                name, "fail", reason, objective=limit, measured=tenths(_answer(one)), events=one.events
            )
        elif one.how == "asked":
            reason = f"{one.who} decided it as {one.role} after {tenths(one.lived)}, within {limit} asked for"
            yield verdict(
                name, "pass", reason, objective=limit, measured=tenths(one.lived), events=one.events
            )


def _answer(one: DecisionMeasure) -> int:
    """From the question to the answer, ns; of old runs with the way to the person in it."""
    return one.lived if one.answer is None else one.answer


def undecided(history: History) -> frozenset[str]:
    """Steps that did not happen because a decision was refused or missed, and those that follow them."""
    lost = {
        str(event.data.get("step"))
        for event in history.events
        if event.kind in ("decision.refused", "decision.missed")
    }
    if not lost:
        return frozenset()
    while more := {
        step.id
        for step in history.plan.steps
        if step.id not in lost
        and ({step.after_step} | ({step.when.done, step.when.begun} if step.when else set())) & lost
    }:
        lost |= more
    return frozenset(lost)


def in_words(one: DecisionMeasure) -> str:
    """Who decided, how long it took, and how much of that was lived."""
    away = f" in place of {' and '.join(one.absent)}" if one.absent and one.outcome != "missed" else ""
    if one.outcome == "missed":
        return str(one.why)
    person = f"{one.who}, {one.role}" if one.who else one.role
    times = [f"{tenths(one.lived)} measured"] if one.lived else []
    times += [f"{span(one.modelled)} modelled"] if one.modelled else []
    reached = f", {span(one.reached)} of it until reached" if one.reached else ""
    return f"{'refused by ' if one.outcome == 'refused' else ''}{person}{away}: {' and '.join(times) or '0s'}{reached}"
