"""The scorecard as plain text: per journey what customers saw, then each verdict's reason, findings and fidelity."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tabulate import tabulate

from chaoskit.model.verdict import Result, Verdict
from chaoskit.registry import register

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LOST_SHOWN = 20


def harmless(text: str) -> str:
    """The text without control characters, so that a hostile name or log line cannot drive a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


@register("reporters", "scorecard")
@dataclass(frozen=True)
class Scorecard:
    """Plain text for a terminal, a log or a pytest failure.

    `folder` is where the run lies, as the reader should see it.
    """

    def render(self, result: Result, folder: str) -> str:
        parts = [self._table(result), self._headline(result, folder)]
        if result.verdicts:
            parts.append("\n".join(self._verdict(verdict) for verdict in result.verdicts))
        if result.findings:
            lines = [f"  · {f.title}" + (f"\n{_indent(f.detail, 6)}" if f.detail else "") for f in result.findings]
            parts.append("worth an engineer's time:\n" + "\n".join(lines))
        if result.notes:
            parts.append("to be read with it:\n" + "\n".join(f"  · {note}" for note in result.notes))
        if result.fidelity:
            parts.append("fidelity: " + "; ".join(f"{f['service']}: {f['kind']}, {f['what']}" for f in result.fidelity))
        if result.wall_s:
            parts.append("where the time went: " + ", ".join(f"{name} {s:.1f} s" for name, s in result.wall_s.items()))
        return harmless("\n\n".join(part for part in parts if part)) + "\n"

    def _table(self, result: Result) -> str:
        if not result.scorecard:
            return ""
        return tabulate([dict(row) for row in result.scorecard], headers="keys", disable_numparse=True)

    def _headline(self, result: Result, folder: str) -> str:
        people = f" + people {_minutes(result.modelled_s)} modelled" if result.modelled_s else ""
        machine = f" (machine {_bounds(result.machine_s)}{people})" if result.machine_s else ""
        expected = ""
        if result.expected != "pass":
            expected = ", as expected" if result.as_expected else f", expected: {result.expected}"
        line = f"{result.drill}: {result.outcome}{expected}{machine} · {folder}"
        return f"{line}\n{result.reason}" if result.reason else line

    def _verdict(self, verdict: Verdict) -> str:
        outcome = verdict.outcome if verdict.exercised else f"{verdict.outcome} (not exercised)"
        cited = f" [events {', '.join(map(str, verdict.events[:8]))}]" if verdict.events else ""
        lines = [f"  {outcome:<8} {verdict.name}: {verdict.reason}{cited}"]
        shown = verdict.details[:_LOST_SHOWN]
        lines += [f"{'':11}{detail}" for detail in shown]
        if len(verdict.details) > len(shown):
            lines.append(f"{'':11}… and {len(verdict.details) - len(shown)} more in result.json")
        return "\n".join(lines)


def _indent(text: str, width: int) -> str:
    return "\n".join(" " * width + line for line in text.splitlines())


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g}m" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g}s"


def _bounds(machine_s: tuple[float, float]) -> str:
    low, high = machine_s
    return f"{low:.2f} – {high:.2f} s"
