"""Judges a run: objectives, checks and the vacuity guard, composed into one outcome with its reason.

fail > unknown > pass      a void run (nothing witnessed, nothing exercised, a broken environment) is unknown in all
aborted                    a guard or a person stopped it: what had failed by then stays failed, nothing passes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from chaoskit.judge.clocks import clock_rows
from chaoskit.judge.decisions import judge_decisions
from chaoskit.judge.findings import findings_of
from chaoskit.judge.guard import Reason, how_it_ended, void_reasons, why_it_ended
from chaoskit.judge.objectives import judge_objectives, verdict
from chaoskit.judge.scorecard import scorecard_of
from chaoskit.judge.unfinished import unfinished
from chaoskit.judge.wording import ceil_s, floor_s, span
from chaoskit.model.drill import Drill
from chaoskit.model.history import Event, History
from chaoskit.model.measurement import Measurements
from chaoskit.model.verdict import Finding, Outcome, Result, Verdict

EXIT_CODES: Mapping[Outcome, int] = {"pass": 0, "fail": 1, "unknown": 3, "aborted": 4}
EXIT_INTERRUPTED = 130
GRAVEST_FIRST = (130, 4, 1, 3, 0)
"""Of several runs the gravest decides: a person's stop, then a certain failure, then no answer."""
STOPPED = ("aborted", "interrupted")


class Registry(Protocol):
    """Where checks are found: chaoskit.registry fits."""

    def member(self, kind: Any, name: str) -> type[Any]: ...


def judge(
    history: History, measurements: Measurements, registry: Registry, drill: Drill | None = None
) -> Result:
    """The result of one run, by the objectives frozen in its plan, or by those of `drill`. Criteria stay the plan's.

    Pure: nothing is started, read or timed. A check that raises is unknown, with the error in its reason.
    """
    plan = history.plan
    asked = drill or plan.drill
    ended = how_it_ended(history)
    void = void_reasons(history, measurements)
    checks = [_check(name, history, measurements, registry) for name in dict.fromkeys(asked.checks)]
    verdicts = [
        *judge_objectives(asked, plan, measurements),
        *judge_decisions(measurements),
        *checks,
        *unfinished(history, checks),
    ]
    verdicts += _steady_after(history, measurements, verdicts)
    if void:
        verdicts = [_voided(one, void[0]) for one in verdicts]
    elif ended in STOPPED:
        verdicts = [_stopped(one, ended) for one in verdicts]
    outcome = _outcome(verdicts, void, ended)
    expected = () if asked.expect == "pass" else asked.expect.fail
    as_expected = _as_expected(outcome, verdicts, expected)
    return Result(
        run=history.run,
        drill=plan.drill.drill,
        title=plan.drill.title,
        outcome=outcome,
        expected=f"fail: {', '.join(expected)}" if expected else "pass",
        as_expected=as_expected,
        exit_code=_exit_code(outcome, as_expected, ended),
        reason=_reason(outcome, verdicts, void, history),
        objectives_from=_objectives_from(plan.drill, drill),
        verdicts=tuple(verdicts),
        findings=(*_void_findings(void), *findings_of(history, measurements)),
        scorecard=tuple(dict(row) for row in scorecard_of(asked, plan, measurements, verdicts)),
        clocks=tuple(row.cells for row in clock_rows(measurements)),
        machine_s=_machine_s(measurements),
        modelled_s=_modelled_ns(measurements) / 1e9,
        fidelity=_fidelity(history),
        notes=_notes(history, measurements, drill),
        wall_s=_wall_s(history.events),
    )


def _check(name: str, history: History, measurements: Measurements, registry: Registry) -> Verdict:
    try:
        found = registry.member("checks", name)().judge(history, measurements)
        return Verdict.model_validate(found)
    except Exception as error:  # noqa: BLE001 - a check may be anybody's code; its crash is no verdict
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        return verdict(name, "unknown", f"the check could not judge: {type(error).__name__}: {text}")


def _steady_after(
    history: History, measurements: Measurements, verdicts: Sequence[Verdict]
) -> tuple[Verdict, ...]:
    """The steady state must hold again at the end; who never recovered, and none but him, is told so by his RTO."""
    after = [
        e for e in history.events if e.kind in ("steady.ok", "steady.failed") and e.data.get("at") == "after"
    ]
    if after and after[-1].kind == "steady.ok":
        return ()
    told = {one.name for one in verdicts if one.outcome != "pass"}
    never = [j.journey for j in measurements.journeys.values() if j.rta is not None and j.rta.hi is None]
    said = str(after[-1].data.get("reason") or "").split("; ") if after else []
    others = [one for one in said if one and one.partition(": ")[0] not in never]
    if never and not others and all(f"{journey}.rto" in told for journey in never):
        return ()
    why = (
        f"did not hold at the end: {after[-1].data.get('reason')}"
        if after
        else "was not looked at again at the end"
    )
    return (
        verdict("steady-state", "unknown", f"the steady state {why}", events=tuple(e.n for e in after[-1:])),
    )


def _voided(one: Verdict, why: Reason) -> Verdict:
    reason = f"void: {why.text}" + (
        f" (otherwise {one.outcome}: {one.reason})" if one.outcome != "unknown" else ""
    )
    events = tuple(sorted({*one.events, *why.events}))
    return one.model_copy(update={"outcome": "unknown", "reason": reason, "events": events})


def _stopped(one: Verdict, ended: str) -> Verdict:
    if one.outcome != "pass":
        return one
    reason = f"the run was {ended} before its end; until then: {one.reason}"
    return one.model_copy(update={"outcome": "unknown", "reason": reason})


def _outcome(verdicts: Sequence[Verdict], void: Sequence[Reason], ended: str | None) -> Outcome:
    if ended in STOPPED:
        return "aborted"
    found = {one.outcome for one in verdicts}
    if void or not found:
        return "unknown"
    return "fail" if "fail" in found else "unknown" if "unknown" in found else "pass"


def _as_expected(outcome: Outcome, verdicts: Sequence[Verdict], expected: Sequence[str]) -> bool:
    """Exactly what was named failed, and nothing is unknown."""
    if not expected:
        return outcome == "pass"
    failed = {one.name for one in verdicts if one.outcome == "fail"}
    return outcome == "fail" and failed == set(expected) and all(one.outcome != "unknown" for one in verdicts)


def _exit_code(outcome: Outcome, as_expected: bool, ended: str | None) -> int:
    if ended == "interrupted":
        return EXIT_INTERRUPTED
    if as_expected:
        return 0
    # A drill that should have failed and passed is red as well.
    return EXIT_CODES[outcome] or 1


def _reason(outcome: Outcome, verdicts: Sequence[Verdict], void: Sequence[Reason], history: History) -> str:
    if outcome == "aborted":
        return f"{how_it_ended(history)}: {why_it_ended(history)}".rstrip(": ")
    if void:
        more = f" (and {len(void) - 1} more reasons)" if len(void) > 1 else ""
        return f"{void[0].text}{more}"
    if not verdicts:
        return "the drill asks for nothing that could be judged"
    if outcome == "pass":
        return (
            "the one thing asked for is met"
            if len(verdicts) == 1
            else f"all {len(verdicts)} objectives and checks are met"
        )
    guilty = [one for one in verdicts if one.outcome == outcome]
    return "; ".join(f"{one.name}: {one.reason}" for one in guilty)


def _objectives_from(planned: Drill, drill: Drill | None) -> str:
    return "plan.json" if drill is None else f"{drill.drill}, instead of plan.json ({planned.drill})"


def _void_findings(void: Sequence[Reason]) -> tuple[Finding, ...]:
    return tuple(Finding(title=f"void: {reason.text}") for reason in void[1:])


def _machine_s(measurements: Measurements) -> tuple[float, float] | None:
    """Bounds of the journey that took longest; None if one never recovered or none was measured."""
    spans = [j.rta for j in measurements.journeys.values() if j.rta is not None]
    ended = [(one.lo, one.hi) for one in spans if one.hi is not None]
    if not ended or len(ended) < len(spans):
        return None
    lo, hi = max(ended, key=lambda pair: pair[1])
    return floor_s(lo), ceil_s(hi)


def _modelled_ns(measurements: Measurements) -> int:
    return max((max(j.modelled, j.awaited_books_ns) for j in measurements.journeys.values()), default=0)


def _notes(history: History, measurements: Measurements, drill: Drill | None) -> tuple[str, ...]:
    notes = list(history.plan.notes)
    modelled = _modelled_ns(measurements)
    if modelled and not any("machine's outage only" in note for note in notes):
        notes.append(
            f"{span(modelled)} of human time are modelled and were not waited for: loss, in-doubt and backlog "
            "were measured over the machine's outage only"
        )
    if any(c.shortened for c in history.plan.criteria.values()) and not any("shortened" in n for n in notes):
        notes.append("recovery had to hold for less than max(30 s, RTO/10): shortened by the drill")
    waited = _last_of(history, "steady.ok", "after", "waited_ns")
    if waited:
        notes.append(
            f"the steady state held again only {waited / 1e9:.1f} s after every journey had held its recovery"
        )
    if drill is not None:
        notes.append(
            f"judged by the objectives of {drill.drill}; the criterion of recovery is the run's own, from plan.json"
        )
    return tuple(dict.fromkeys(notes))


def _last_of(history: History, kind: str, at: str, name: str) -> int:
    found = [e.data.get(name) for e in history.events if e.kind == kind and e.data.get("at") == at]
    return found[-1] if found and isinstance(found[-1], int) else 0


def _wall_s(events: Sequence[Event]) -> dict[str, float]:
    begun: dict[str, int] = {}
    spent: dict[str, float] = {}
    for event in events:
        name = event.data.get("name")
        if event.kind != "phase" or not isinstance(name, str):
            continue
        if event.data.get("state") == "begin":
            begun[name] = event.t
        elif name in begun:
            spent[name] = round(spent.get(name, 0.0) + (event.t - begun.pop(name)) / 1e9, 2)
    return spent


def _fidelity(history: History) -> tuple[dict[str, str], ...]:
    """What stood for each service, with the version that the running server named."""
    said = {
        event.data["service"]: event.data["version"]
        for event in history.events
        if event.kind == "service.version" and event.data.get("version")
    }
    return tuple(
        one.model_copy(update={"version": said.get(one.service)}).model_dump(mode="json", exclude_none=True)
        for one in history.plan.fidelity
    )
