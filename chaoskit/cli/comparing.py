"""`compare` and `history`: runs side by side, a set of runs against a baseline, and trends over stored runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tabulate import tabulate

from chaoskit.errors import InputError
from chaoskit.evidence.manifest import changed_among, check
from chaoskit.evidence.stored_run import StoredRun, load_stored_run
from chaoskit.judge import EXIT_CODES
from chaoskit.judge.comparison import METHOD, Comparison, compare, values_of
from chaoskit.judge.wording import bounds
from chaoskit.model.plain_text import one_line

_CELL_MAX = 60
_BARS = "▁▂▃▄▅▆▇█"


def compare_runs(runs: Sequence[Path], baseline: Sequence[Path]) -> int:
    """Print the comparison; 0 no worse, 1 worse, 3 not comparable. Without a baseline: side by side, and 0."""
    new = [load_stored_run(folder) for folder in runs]
    if not baseline:
        if len(new) < 2:
            raise InputError("compare: one run alone; name another, or earlier ones with --baseline")
        print(side_by_side(new))
        for told in (*_asked_otherwise(new), *_altered(runs)):
            print(one_line(f"  · {told}"))
        return 0
    found = compare([load_stored_run(folder) for folder in baseline], new, _altered([*baseline, *runs]))
    print(_told(found))
    return {"worse": 1, "no worse": 0, "not comparable": EXIT_CODES["unknown"]}[found.outcome]


def _altered(folders: Sequence[Path]) -> list[str]:
    """Runs whose files are no longer the ones that were judged; what they say compares nothing."""
    found = [(folder, check(folder)) for folder in folders]
    return [f"{folder}: altered: {one.problems[0]}" for folder, one in found if one.standing == "altered"]


def side_by_side(runs: Sequence[StoredRun]) -> str:
    """A column a run: outcome, each journey's numbers, each verdict, what stood for what."""
    rows: list[list[str]] = [
        ["outcome", *(run.result.outcome for run in runs)],
        ["expected", *(run.result.expected for run in runs)],
        ["variant", *(run.plan.system.variant or "–" for run in runs)],
        ["runtime", *(run.plan.runtime for run in runs)],
        ["seed", *(str(run.plan.seed) for run in runs)],
        ["machine", *(run.machine_class or "unknown" for run in runs)],
    ]
    for journey in dict.fromkeys(name for run in runs for name in run.measurements.journeys):
        cards = [next((c for c in run.result.scorecard if c.get("journey") == journey), {}) for run in runs]
        for cell in ("good", "RTA (bounds)", "RTO", "lost", "in doubt"):
            rows.append([f"{journey}: {cell}", *(str(card.get(cell, "–")) for card in cards)])
    detected = [run.measurements.clocks.detected for run in runs]
    rows.append(["detected after", *(bounds(one) if one else "–" for one in detected)])
    for verdict in dict.fromkeys(v.name for run in runs for v in run.result.verdicts):
        told = [next((v for v in run.result.verdicts if v.name == verdict), None) for run in runs]
        rows.append([verdict, *(v.outcome if v else "not asked" for v in told)])
    for service in dict.fromkeys(one[0] for run in runs for one in run.fidelity):
        stood = [next((f"{k}, {w}" for s, k, w in run.fidelity if s == service), "–") for run in runs]
        if len(set(stood)) > 1:
            rows.append([f"{service} is", *stood])
    heads = ["", *(run.result.run for run in runs)]
    return _table([[one_line(cell, _CELL_MAX) for cell in row] for row in rows], heads)


def _asked_otherwise(runs: Sequence[StoredRun]) -> list[str]:
    """What was not the same for all: then what differs between two variants need not be the variant's doing."""
    asked: dict[str, list[object]] = {
        "load": [run.plan.load for run in runs],
        "timeline": [run.plan.drill.timeline for run in runs],
        "steady state": [run.plan.drill.steady for run in runs],
        "set of objectives": [run.plan.drill.objectives for run in runs],
    }
    return [
        f"not the same {what} in all of them: plan.json of each says which"
        for what, values in asked.items()
        if any(value != values[0] for value in values)
    ]


def history(reports: Path, drill: str | None) -> str:
    """Trends over the judged runs below `reports`, oldest first, drill by drill; what is left out is told."""
    if not reports.is_dir():
        raise InputError(f"{reports}: no such folder; --reports says where runs are kept")
    runs: list[StoredRun] = []
    left_out: list[str] = []
    seen: dict[tuple[str, datetime | None], Path] = {}
    for folder in sorted(
        path for path in reports.iterdir() if path.is_dir() and (path / "plan.json").exists()
    ):
        try:
            run = load_stored_run(folder)
            why = _no_trend(run)
        except InputError as error:
            left_out.append(one_line(str(error)))
            continue
        if why is not None:
            left_out.append(one_line(f"{folder}: {why}"))
            continue
        first = seen.setdefault((run.result.run, run.began), folder)
        if first is folder:
            runs.append(run)
        else:
            left_out.append(one_line(f"{folder}: is the run of {first} once more"))
    runs.sort(key=lambda run: (run.began.timestamp() if run.began else 0.0, run.result.run))
    drills = dict.fromkeys(run.result.drill for run in runs)
    if drill is not None and drill not in drills:
        raise InputError(
            f"{drill}: no run of that drill in {reports}; there are: {', '.join(drills) or 'none'}"
        )
    alike: dict[tuple[str, ...], list[StoredRun]] = {}
    for run in (run for name in drills if drill in (None, name) for run in runs if run.result.drill == name):
        alike.setdefault((run.result.drill, *_conditions(run)), []).append(run)
    parts = [_trend(conditions, same) for (_, *conditions), same in alike.items()]
    parts += [f"left out: {line}" for line in left_out]
    return "\n\n".join(parts) if parts else f"no judged run in {one_line(str(reports))}"


def _no_trend(run: StoredRun) -> str | None:
    """Why a run says nothing of how its drill went: a proof has left something out of it, or it was altered."""
    if run.control:
        return "; ".join(run.control)
    problems = changed_among(run.folder, ("plan.json", "result.json", "measurements.json"))
    return f"altered: {problems[0]}" if problems else None


def _conditions(run: StoredRun) -> tuple[str, ...]:
    """What makes another trend of a drill's runs: the bad day beside the good one is no change over time."""
    variant = (f"variant {run.plan.system.variant}",) if run.plan.system.variant else ()
    pace = ("pace real",) if run.plan.pace == "real" else ()
    return *variant, run.plan.runtime, *pace, run.machine_class or "machine unknown"


def _trend(conditions: Sequence[str], runs: Sequence[StoredRun]) -> str:
    """The trend of runs under the same `conditions`, oldest first."""
    metrics = dict.fromkeys(name for run in runs for name in values_of(run))
    rows = []
    for metric in metrics:
        values = [values_of(run).get(metric) for run in runs]
        known = [value for value in values if value is not None]
        rows.append([metric, _bars(values), _number(min(known)), _number(max(known)), _number(known[-1])])
    outcomes = " ".join("·xu!"[("pass", "fail", "unknown", "aborted").index(r.result.outcome)] for r in runs)
    began, ended = (run.began.date().isoformat() if run.began else "?" for run in (runs[0], runs[-1]))
    head = f"{runs[0].result.drill}: {len(runs)} runs, {began} to {ended}; {', '.join(conditions)}"
    lines = [f"{one_line(head)} (· pass, x fail, u unknown, ! aborted)", outcomes]
    lines.append(_table(rows, ["", "trend", "least", "most", "last"]))
    if plans := len({run.plan_digest for run in runs}) - 1:
        lines.append(
            f"  · the plan changed: {plans + 1} of them in these runs; plan.json of each says what was asked"
        )
    return "\n".join(lines)


def _bars(values: Sequence[float | None]) -> str:
    """One character a run: its height between 0 and the largest; ? where it was not measured, ∞ where censored."""
    top = max((value for value in values if value is not None and math.isfinite(value)), default=0.0)
    shown = []
    for value in values:
        if value is None:
            shown.append("?")
        elif math.isinf(value):
            shown.append("∞")
        else:
            shown.append(_BARS[round(value / top * (len(_BARS) - 1))] if top else _BARS[0])
    return "".join(shown)


def _told(found: Comparison) -> str:
    lines = [one_line(f"baseline: {', '.join(found.baseline)}"), one_line(f"new: {', '.join(found.new)}"), ""]
    if found.outcome == "not comparable":
        lines += [one_line(f"  · {reason}") for reason in found.reasons]
        return "\n".join([*lines, "not comparable"])
    rows = []
    for shift in found.shifts:
        change = "–"
        if shift.baseline and math.isfinite(shift.baseline) and math.isfinite(shift.new):
            change = f"{shift.new / shift.baseline - 1:+.0%}"
        told = ("worse" if shift.worse else "better") if shift.flagged else "–"
        rows.append(
            [shift.metric, _number(shift.baseline), _number(shift.new), change, f"{shift.p:.4f}", told]
        )
    lines.append(_table(rows, ["median of", "baseline", "new", "change", "p (all metrics)", "flag"]))
    lines += [
        "",
        *(one_line(f"  · {note}") for note in found.notes),
        f"  · method: {METHOD}",
        "",
        found.outcome,
    ]
    return "\n".join(lines)


def _number(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.4g}"


def _table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    cells = [[one_line(cell) for cell in row] for row in rows]
    return tabulate(
        cells, headers=[one_line(head) for head in heads], tablefmt="plain", disable_numparse=True
    )
