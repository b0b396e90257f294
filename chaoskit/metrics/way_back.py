"""How a system came back from a release: the code alone, the books as well, or by a fix, and what that cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from chaoskit.metrics.diagnosis import since
from chaoskit.model.history import Event
from chaoskit.model.measurement import BooksMeasure, Interval, LossMeasure, WayBack
from chaoskit.model.release_measures import Recovery

UNREADABLE = ("amount-differs", "parties-differ", "payload-differs")
"""Rules of the books by which a payment that is there is another than was asked for."""


def way_back(
    halted: Event,
    events: Sequence[Event],
    losses: Mapping[str, LossMeasure],
    books: Mapping[str, BooksMeasure],
    started: Interval | None,
) -> WayBack | None:
    """What followed a stop, until the next stop; None where nothing was taken back, or put over it."""
    follow = list(_following(halted, events))
    own = [one for one in follow if one.data["step"] == halted.data["step"]]
    back = [one for one in own if one.data["fact"] == "restored"]
    fixed = [one for one in own if one.data["fact"] == "forwarded"]
    finished = [one for one in own if one.data["fact"] == "finished"]
    code = (*back, *fixed)
    data = [one for one in follow if one.data.get("before") == halted.data["release"]]
    restored = [one for one in data if one.data["fact"] == "restored"]
    again = [
        one for one in follow if restored and one.data["fact"] == "resubmitted" and one.t > restored[-1].t
    ]
    steps = (*code, *finished, *restored, *again)
    if not steps:
        return None
    last = max(steps, key=lambda one: one.t)
    fixes = [str(one.data["release"]) for one in (*fixed, *finished)]
    return WayBack(
        how=_how(bool(restored), bool(again), bool(fixes)),
        fix=fixes[0] if fixes else None,
        finished=bool(finished),
        code={str(one) for one in halted.data.get("changed") or ()} <= {one.data["service"] for one in code},
        restored=bool(restored),
        sent_again=_sum(again, "resubmitted") if again else None,
        lost_before=_sum(again, "resubmitted", "refused", "unknown") if again else None,
        lost=_lost(losses.values()),
        unreadable=_unreadable(books.values()),
        after=since(started, last.t),
        event=last.n,
        events=tuple(sorted(one.n for one in steps)),
    )


def _how(restored: bool, again: bool, fixed: bool) -> Recovery:
    if restored:
        return "restore-and-replay" if again else "restore"
    return "forward-fix" if fixed else "roll-back"


def _following(halted: Event, events: Sequence[Event]) -> Iterable[Event]:
    for event in events:
        if event.n <= halted.n or event.kind != "response.fact":
            continue
        if event.data.get("fact") == "halted":
            return
        yield event


def _sum(sent: Iterable[Event], *lists: str) -> int:
    return sum(len(one.data.get(name) or ()) for one in sent for name in lists)


def _lost(losses: Iterable[LossMeasure]) -> int | None:
    found = list(losses)
    if not found or any(one.problems or one.survivor is None for one in found):
        return None
    return sum(len(one.lost) for one in found)


def _unreadable(books: Iterable[BooksMeasure]) -> int | None:
    found = list(books)
    if not found or any(one.problems or one.survivor is None for one in found):
        return None
    return sum(rule.count for one in found for rule in one.broken(*UNREADABLE))
