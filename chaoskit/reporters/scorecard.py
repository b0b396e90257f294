"""The scorecard as plain text: per journey what customers saw, then each verdict's reason, findings and fidelity."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tabulate import tabulate

from chaoskit.model.plain_text import one_line
from chaoskit.model.verdict import Finding, Result, Verdict
from chaoskit.registry import register

_DETAILS_SHOWN = 20
_EVENTS_SHOWN = 8
_MORE_REASONS = re.compile(r" \(and \d+ more reasons\)$")
_LINES_SHOWN = 30
_CELL_MAX = 60
_WHAT_MAX = 160
_WALL_S_MIN = 0.05


@register("reporters", "scorecard")
@dataclass(frozen=True)
class Scorecard:
    """Plain text for a terminal, a log or a pytest failure.

    One row for each journey, one for each clock of people and bank, the outcome with its reason, then every verdict
    with the events it rests on, what is worth an engineer's time, and what has to be known to read it rightly. Only
    result.json has long lists whole.
    """

    def render(self, result: Result, folder: str, head: str | None = None) -> str:
        """The text, ending in a line break; `folder` is where the run lies, as the reader should see it.

        `head` vouches for the folder's files; whoever keeps it can have them verified years later.
        Whatever a name, a key or a log line holds, nothing in it drives a terminal or forges a line.
        """
        parts = [
            self._table(result.scorecard),
            self._table(result.clocks, _WHAT_MAX),
            self._headline(result, folder),
        ]
        parts.append("\n".join(self._verdict(verdict, _void(result)) for verdict in result.verdicts))
        parts.append(_titled("worth an engineer's time:", (self._finding(one) for one in result.findings)))
        parts.append(_titled("to be read with it:", (f"  · {one_line(note)}" for note in result.notes)))
        parts.append(_titled("what stood for what:", self._fidelity(result)))
        spent = [
            f"{one_line(name, _CELL_MAX)} {s:.1f} s" for name, s in result.wall_s.items() if s >= _WALL_S_MIN
        ]
        parts.append("where the time went: " + ", ".join(spent) if spent else "")
        parts.append(f"head {head} (keep it: chaoskit verify {one_line(folder)} --head …)" if head else "")
        return "\n\n".join(part for part in parts if part) + "\n"

    def _table(self, cells: Iterable[Mapping[str, str]], widest: int = _CELL_MAX) -> str:
        rows = [
            {one_line(name, widest): one_line(cell, widest) for name, cell in row.items()} for row in cells
        ]
        return tabulate(rows, headers="keys", tablefmt="plain", disable_numparse=True) if rows else ""

    def _headline(self, result: Result, folder: str) -> str:
        people = f" + people {_span(result.modelled_s)} modelled" if result.modelled_s else ""
        machine = f" (machine {_bounds(result.machine_s)}{people})" if result.machine_s else ""
        expected = ""
        if result.expected != "pass":
            what = one_line(result.expected)
            expected = (
                f", as expected ({what})"
                if result.as_expected
                else f"{_missed(result)}, but expected was {what}"
            )
        line = f"{one_line(result.drill)}: {result.outcome}{expected}{machine} · {one_line(folder)}"
        return f"{line}\n{one_line(result.reason)}" if result.reason else line

    def _verdict(self, verdict: Verdict, void: str | None) -> str:
        reason = verdict.reason
        if void is not None and reason.startswith(
            void
        ):  # told by the headline; what it would have been is this verdict's own
            reason = f"void, for the reason above{reason.removeprefix(void)}"
        numbers = ", ".join(map(str, verdict.events[:_EVENTS_SHOWN]))
        more = ", …" if len(verdict.events) > _EVENTS_SHOWN else ""
        cited = f" [event{'s' if len(verdict.events) > 1 else ''} {numbers}{more}]" if verdict.events else ""
        lines = [f"  {verdict.outcome:<8} {one_line(verdict.name)}: {one_line(reason)}{cited}"]
        shown = verdict.details[:_DETAILS_SHOWN]
        lines += [f"{'':11}{one_line(detail)}" for detail in shown]
        if len(verdict.details) > len(shown):
            lines.append(f"{'':11}… and {len(verdict.details) - len(shown)} more in result.json")
        return "\n".join(lines)

    def _finding(self, finding: Finding) -> str:
        lines = finding.detail.splitlines()
        shown = [f"      {one_line(line)}" for line in lines[-_LINES_SHOWN:]]
        if len(lines) > len(shown):
            shown.insert(0, f"      … {len(lines) - len(shown)} lines before are in result.json")
        return "\n".join([f"  · {one_line(finding.title)}", *shown])

    def _fidelity(self, result: Result) -> Iterable[str]:
        """Services with the same stand-in share a line."""
        services: dict[tuple[str, str, str], list[str]] = {}
        for one in result.fidelity:
            stands = (one.get("kind", ""), one.get("what", ""), one.get("version", ""))
            services.setdefault(stands, []).append(one.get("service", ""))
        for (kind, what, version), names in services.items():
            said = f"; it says it is {one_line(version)}" if version else ""
            yield f"  · {one_line(', '.join(names))}: {one_line(kind)}, {one_line(what)}{said}"


def _missed(result: Result) -> str:
    """What did not pass, by name, for one who expected something else; nothing for a run that is void altogether."""
    others = [f"{one.outcome}: {one_line(one.name)}" for one in result.verdicts if one.outcome != "pass"]
    whole = all(one.outcome == "unknown" for one in result.verdicts)
    return f" ({', '.join(others)})" if others and not whole else ""


def _void(result: Result) -> str | None:
    """How the reasons of a void run's verdicts begin; None where the headline tells no reason."""
    return f"void: {_MORE_REASONS.sub('', result.reason)}" if result.reason else None


def _titled(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return f"{title}\n{body}" if body else ""


def _span(seconds: float) -> str:
    return f"{seconds / 60:g}m" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g}s"


def _bounds(machine_s: tuple[float, float]) -> str:
    low, high = machine_s
    return f"{low:.2f} – {high:.2f} s"
