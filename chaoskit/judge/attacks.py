"""What an attack from outside came to, as rows beside the clocks: alert, block, who else was blocked, money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.judge.wording import NOTHING, bounds
from chaoskit.model.measurement import AttackMeasure, Interval

_SHOWN = 5


def rows(attack: AttackMeasure) -> Iterator[dict[str, str]]:
    """Rows of one attack, with the columns clock, after the fault, what."""
    yield _row(f"alert: {attack.step}", _after(attack.alerted), attack.alert or "none was read")
    counted = (
        f"{attack.refused} of {attack.asked} requests turned away, "
        f"{attack.failed} log-ins failed, {attack.let_in} worked"
        if attack.read
        else "how many requests is unknown: the feed was not read until the attack had ended"
    )
    yield _row(
        f"blocked: {attack.step}",
        _after(attack.blocked),
        f"{attack.block or 'nothing was blocked'}; {counted}",
    )


def shared(attacks: Sequence[AttackMeasure]) -> Iterator[dict[str, str]]:
    """Rows of all attacks together: no customer, and no book, can tell which of several it was."""
    if not attacks:
        return
    whose = "" if len(attacks) == 1 else f"by all {len(attacks)} attacks together: "
    first = max(attacks, key=lambda one: one.operations)  # counted from each attack on: the first one has all
    yield _row("wrongly blocked", NOTHING, whose + _wrongly_blocked(first))
    yield _row("money moved", NOTHING, whose + _moved(first))


def _wrongly_blocked(attack: AttackMeasure) -> str:
    if not attack.wrongly_blocked:
        return "no customer"
    names = ", ".join(attack.wrongly_blocked[:_SHOWN])
    more = len(attack.wrongly_blocked) - _SHOWN
    names += f" and {more} more" if more > 0 else ""
    return f"{len(attack.wrongly_blocked)} customers, {attack.operations} operations: {names}"


def _moved(attack: AttackMeasure) -> str:
    if not attack.books:
        return "unknown: the books could not be read"
    if attack.moved:
        return f"{len(attack.moved)} transactions that no customer asked for"
    if attack.unsaid:
        why = "do not say that they are no customer's"
        return f"unknown: {attack.unsaid} transactions that no customer asked for {why}"
    return "nothing that no customer asked for"


def _after(found: Interval | None) -> str:
    return NOTHING if found is None else bounds(found)


def _row(clock: str, after: str, what: str) -> dict[str, str]:
    return {"clock": clock, "after the fault": after, "what": what}
