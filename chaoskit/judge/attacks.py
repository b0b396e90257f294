"""What an attack from outside came to, as rows beside the clocks: alert, block, who else was blocked, money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.judge.clock_row import ClockRow
from chaoskit.metrics.attacks import told_between
from chaoskit.model.measurement import AttackMeasure
from chaoskit.model.outsiders import BLOCKED, BLOCKED_STATUS

_SHOWN = 5


def rows(attack: AttackMeasure) -> Iterator[ClockRow]:
    """Rows of one attack, counted from its own start."""
    told = (
        "the first of the attacked service's feed about the attack's addresses; it says itself when that was",
    )
    yield ClockRow(
        "alert",
        attack.step,
        attack.alert or "none was read",
        after=attack.alerted,
        since=attack.clock,
        until=attack.alert_event,
        read=told_between,
        how=told,
    )
    counted = (
        f"{attack.refused} of {attack.asked} requests turned away, "
        f"{attack.failed} log-ins failed, {attack.let_in} worked"
        if attack.read
        else "how many requests is unknown: the feed was not read until the attack had ended"
    )
    yield ClockRow(
        "blocked",
        attack.step,
        f"{attack.block or 'nothing was blocked'}; {counted}",
        after=attack.blocked,
        since=attack.clock,
        until=attack.block_event,
        read=told_between,
        events=() if attack.counts_event is None else (attack.counts_event,),
        how=(*told, "requests, as the service counted them: of several readings the most"),
    )


def shared(attacks: Sequence[AttackMeasure]) -> Iterator[ClockRow]:
    """Rows of all attacks together: no customer, and no book, can tell which of several it was."""
    if not attacks:
        return
    whose = "" if len(attacks) == 1 else f"by all {len(attacks)} attacks together: "
    first = max(attacks, key=lambda one: one.operations)  # counted from each attack on: the first one has all
    statuses = " or ".join(map(str, sorted(BLOCKED_STATUS)))
    turned = (
        f"the run's own operations since the attack that got {statuses}, or an error that begins '{BLOCKED}:'"
    )
    yield ClockRow(
        "wrongly blocked", "", whose + _wrongly_blocked(first), keys=first.keys, how=(f"counted: {turned}",)
    )
    asked = "looked for in the surviving books: a transaction without a key, or of a client under a key that none sent"
    yield ClockRow("money moved", "", whose + _moved(first), how=(asked, *first.moved))


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
