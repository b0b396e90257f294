"""What a journey's `accepted:` may say: statuses of its own, a customer that is drawn, a service that replays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaoskit.model.system import Between, Journey
from chaoskit.spec.places import Loc, shown

if TYPE_CHECKING:
    from chaoskit.spec.journey_names import Names


def check_accepted(names: Names, loc: Loc, journey: Journey, way: str) -> None:
    """Problems with it, each at its place."""
    accepted = journey.accepted
    if accepted is None:
        return
    where: Loc = (*loc, "accepted")
    if way in ("sql", "class"):
        names.say(where, f"a journey by `{way}` has no status", "remove it", key=True)
        return
    taken = {*journey.good.statuses, *journey.refused.status} if journey.good is not None else set()
    for number, status in enumerate(accepted.status):
        if status in taken:
            names.say(
                (*where, "status", number), f"{status} is good or refused already", "it can mean one thing"
            )
        elif not 200 <= status <= 299:
            names.say(
                (*where, "status", number), f"{status} promises nothing", "a status from 200 to 299, like 202"
            )
    if journey.books is None:
        names.say(where, "a promise needs `books:` in which it must be found in the end", key=True)
    if accepted.limit is not None:
        drawn = {one.between[0].currency for one in journey.draw.values() if isinstance(one, Between)}
        if not drawn:
            names.say((*where, "limit"), "no amount is drawn that a limit could be of")
        elif accepted.limit.currency not in drawn:
            names.say(
                (*where, "limit"), f"amounts are drawn in {', '.join(sorted(drawn))}", "name it in that"
            )
        if accepted.per is None and journey.parties is None:
            names.say((*where, "limit"), "whose limit?", "name the customer's drawn value under `per`")
    if accepted.per is not None:
        names.one_of((*where, "per"), "drawn value", accepted.per, journey.draw)
    if accepted.replay is not None:
        service, slash, path = accepted.replay.partition("/")
        if not slash or not path:
            names.say(
                (*where, "replay"), f"{shown(accepted.replay)} is no service/path", "like stand-in/replay"
            )
        else:
            names.service((*where, "replay"), service)
