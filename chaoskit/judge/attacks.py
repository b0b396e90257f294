"""What an attack from outside came to, as rows beside the clocks: alert, block, who else was blocked, money."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.judge.wording import NOTHING, bounds
from chaoskit.model.measurement import AttackMeasure, Interval

_SHOWN = 5


def rows(attack: AttackMeasure) -> Iterator[dict[str, str]]:
    """Rows with the columns clock, after the fault, what."""
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
    if attack.wrongly_blocked:
        names = ", ".join(attack.wrongly_blocked[:_SHOWN])
        more = len(attack.wrongly_blocked) - _SHOWN
        names += f" and {more} more" if more > 0 else ""
        said = f"{len(attack.wrongly_blocked)} customers, {attack.operations} operations: {names}"
    else:
        said = "no customer"
    yield _row("wrongly blocked", NOTHING, said)
    if not attack.books:
        money = "unknown: the books could not be read"
    elif attack.moved:
        money = f"{len(attack.moved)} transactions that no customer asked for"
    else:
        money = "nothing that no customer asked for"
    yield _row("money moved", NOTHING, money)


def _after(found: Interval | None) -> str:
    return NOTHING if found is None else bounds(found)


def _row(clock: str, after: str, what: str) -> dict[str, str]:
    return {"clock": clock, "after the fault": after, "what": what}
