"""What may be missing from the books through us: acknowledged, and held up on its way to a standby in a proxy of ours.

gap      [lo ─── hi]            the proxy of the replication carried nothing
drained          [hi ── 2hi−lo] what had piled up was still on its way, for as long again at most
struck        │                 a fault, a response or an ended server: the primary may have gone then
doubt    [lo ─────────── 2hi−lo]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chaoskit.metrics.timeline import ProxyGap, Timeline
from chaoskit.model.history import Event
from chaoskit.model.system import Link, System


def struck_of(timeline: Timeline, events: Iterable[Event]) -> tuple[tuple[int, int], ...]:
    """Every instant at which a primary may have gone, [lo, hi] each.

    Not the first fault alone: a later one may have ended it, or a response that fenced it, or itself.
    """
    responses = [(one.begin, one.begin if one.done is None else one.done) for one in timeline.responses]
    ended = [
        (at, at)
        for event in events
        if event.kind == "service.exit" and isinstance(at := event.data.get("at"), int)
    ]
    return (*((one.lo, one.hi) for one in timeline.volleys), *responses, *ended)


def replication_of(books: str, system: System) -> frozenset[str] | None:
    """The members between which what is acknowledged is replicated, of one set of books; None: nobody says, so any.

    Empty where no standby stands by: what the one server has acknowledged is on no way that could be held up.
    Synchronous replication is not asked for: an answer may be given without it (`synchronous_commit`), and what it
    confirmed cannot be missing.
    """
    found = system.books.get(books)
    role = system.roles.get(found.on or "") if found is not None else None
    if role is None:
        return None
    return frozenset() if role.standby is None else frozenset((role.primary, role.standby))


def loss_doubt(
    gaps: Iterable[ProxyGap],
    struck: Sequence[tuple[int, int]],
    members: frozenset[str] | None,
    period: int,
    after: int | None = None,
) -> dict[str, Any]:
    """Fields of a LossMeasure: when an acknowledged operation may be missing through us, and why; {} if none may.

    A gap counts when it is longer than a probe's `period` and was not over and drained before something `struck`. What
    was asked for `after` the last response was done, the survivor took itself.
    """
    near = [
        gap
        for gap in gaps
        if gap.hi - gap.lo > period and _carries(gap, members) and any(_meets(gap, one) for one in struck)
    ]
    spans = tuple((gap.lo, _drained(gap) if after is None else min(_drained(gap), after)) for gap in near)
    if not spans:
        return {}
    told = " and ".join(_told(near))
    why = (
        f"the proxy of the links was held up {told}, when something struck, or just before: what was acknowledged in "
        "that time may not have reached a standby through it"
    )
    return {"doubted": spans, "doubt": why}


def _carries(gap: ProxyGap, members: frozenset[str] | None) -> bool:
    if members is None:
        return True
    ways = {Link(caller=one, callee=other).name for one in members for other in members if one != other}
    return not ways.isdisjoint(gap.links)


def _meets(gap: ProxyGap, struck: tuple[int, int]) -> bool:
    return gap.lo <= struck[1] and _drained(gap) >= struck[0]


def _drained(gap: ProxyGap) -> int:
    return 2 * gap.hi - gap.lo


def _told(gaps: Iterable[ProxyGap]) -> Iterator[str]:
    return (f"for {(gap.hi - gap.lo) / 1e6:.0f} ms (event {gap.event})" for gap in gaps)
