"""An age that no answer had: the field that `read: age` names is mistaken, or nothing was ever old.

Which of the two it is shows when answers have a field after a fault that none had before, or that said nothing (null,
0, false): an old answer that names its age otherwise is taken for a new one, and what only looks like full service
would be counted as it.
"""

from __future__ import annotations

from collections.abc import Mapping

from chaoskit.metrics.timeline import Timeline
from chaoskit.model.history import History


def unheard_age(history: History, journey: str) -> dict[str, int]:
    """The fields that answers had instead, each with when it was first seen; empty where some answer had the age."""
    read = history.plan.system.journeys[journey].read
    if read.age is None or any(o.journey == journey and "age" in o.read for o in history.operations):
        return {}
    seen: dict[str, int] = {}
    for journal in history.journals.values():
        told = (journal.get("end") or {}).get("fields")
        fields = told.get(journey) if isinstance(told, Mapping) else None
        for name, at in fields.items() if isinstance(fields, Mapping) else ():
            if isinstance(at, int):
                seen[str(name)] = min(at, seen.get(str(name), at))
    return {} if read.age in seen else seen


def age_doubts(history: History, journey: str, timeline: Timeline) -> tuple[str, ...]:
    """Why the journey's answers cannot be told from old ones; empty if they can."""
    began = min((fault.lo for fault in timeline.faults), default=None)
    fresh = [] if began is None else [n for n, at in unheard_age(history, journey).items() if at >= began]
    if not fresh:
        return ()
    age = history.plan.system.journeys[journey].read.age
    return (
        f"no answer had the field {age!r} that `read: age` names, and after the first fault answers had "
        f"{', '.join(map(repr, sorted(fresh)))}, which none had before: if that is how an old answer says its age, old "
        "answers were counted as new ones",
    )
