"""one-writer: after a failover there is one primary, and no second one that takes payments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chaoskit.metrics.second_writer import RULE
from chaoskit.model.history import Event, History
from chaoskit.model.measurement import BooksMeasure, Measurements
from chaoskit.model.system import System
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register

_NEEDS = {"member": str, "count": int, "at_once": bool, "last_ns": int}


@register("checks", "one-writer")
@dataclass(frozen=True)
class OneWriter:
    """Does exactly one member of each replicated database that keeps books accept writes?

    Every member that lives and was not fenced is asked to commit a write, past every proxy. With two that do, payments
    go to either, and no set of books has them all: every other check of the books is then unknown, because there is no
    surviving ledger to judge, and this one says what happened. What a `probe: writers` has seen during the drill counts
    as well: two that took writes for a moment are two, although one of them has stopped since.

    fail: several members accept writes, or did at one time; every key that is not in the books of all of them is
    listed. unknown: none does, a member lives and did not say, or a `probe: writers` could not look, or had not begun
    before, or had ended before, the one that takes writes in the end took them. Not exercised: no books of a database
    with a standby were collected.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over all books."""
        name = "one-writer"
        system = history.plan.system
        replicated = {
            books
            for books, spec in system.books.items()
            if spec.on in system.roles and system.roles[spec.on].standby is not None
        }
        found = [measure for books, measure in measurements.books.items() if books in replicated]
        events = tuple(
            e.n
            for e in history.events
            if e.kind in ("collect.snapshot", "collect.absent") and e.data.get("books") in replicated
        )
        looks = [e for e in history.events if e.kind == "probe.looked" and e.data.get("name") == "writers"]
        events += tuple(e.n for e in looks)
        seen = tuple(str(case) for e in looks for case in e.data.get("found") or ())
        if broken := [(measure, v) for measure in found for v in measure.broken(RULE)]:
            reason = "; ".join(
                f"{' and '.join(measure.writable)} both accept writes to the books {measure.books}, "
                f"{violation.count} × {RULE}"
                for measure, violation in broken
            )
            cases = tuple(case for _, violation in broken for case in violation.cases)
            return Verdict(name=name, outcome="fail", reason=reason, events=events, details=(*cases, *seen))
        if seen:
            return Verdict(name=name, outcome="fail", reason=seen[0], events=events, details=seen)
        if blind := [str(e.data.get("detail")) for e in looks if e.data.get("ok") is not True]:
            why = f"probe: writers could not look: {blind[0]}"
            return Verdict(name=name, outcome="unknown", reason=why, events=events)
        if unseen := next(_unseen(looks, found, system), None):
            return Verdict(name=name, outcome="unknown", reason=unseen, events=events)
        if problems := tuple(p for measure in found for p in measure.problems if measure.survivor is None):
            return Verdict(name=name, outcome="unknown", reason=problems[0], events=events, details=problems)
        if not found:
            why = "not exercised: no books of a database with a standby were collected"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why, events=events)
        alone = ", ".join(f"{measure.survivor} alone accepts writes" for measure in found)
        alone += "".join(f"; {e.data.get('detail')}" for e in looks)
        asked = {system.books[measure.books].on for measure in found}
        alone += "".join(
            f"; {role} was not asked: no books of it were collected" for role in _others(system, asked)
        )
        return Verdict(name=name, outcome="pass", reason=alone, events=events)


def _others(system: System, asked: Iterable[str | None]) -> list[str]:
    return [name for name, role in system.roles.items() if role.standby is not None and name not in asked]


def _unseen(looks: Sequence[Event], found: Iterable[BooksMeasure], system: System) -> Iterator[str]:
    """Why the looks did not see every change of writer, from the primary of the beginning to the survivor."""
    for measure in found:
        role = system.roles[str(system.books[measure.books].on)]
        own = [look for look in looks if look.data.get("target") == role.standby]
        if not own or measure.survivor is None:
            continue
        writer, seen = role.primary, False
        for look in own:
            took = [one for one in _writers(look) if one["count"]]
            if late := next(
                (one["member"] for one in took if one["at_once"] and one["member"] != writer), None
            ):
                yield f"probe: writers began too late: {late} took its first write already, and {writer} did before"
            if took:
                writer, seen = max(took, key=lambda one: int(one["last_ns"]))["member"], True
        if not seen:
            yield "probe: writers saw nobody take a write: whether there were two is not known"
        elif writer != measure.survivor:
            yield f"probe: writers ended too early: {writer} took the last write, and {measure.survivor} does since"


def _writers(look: Event) -> list[dict[str, Any]]:
    """Its facts; none of a look that has none, or whose facts do not fit."""
    facts = look.data.get("facts")
    told = facts.get("writers") if isinstance(facts, dict) else None
    return [
        one
        for one in (told if isinstance(told, list) else [])
        if isinstance(one, dict) and all(isinstance(one.get(key), kind) for key, kind in _NEEDS.items())
    ]
