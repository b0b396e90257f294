"""An independent judge of small histories: plain Python from the definitions, sharing nothing with chaoskit.metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Probe:
    """One probe: when it was due, and whether it was good."""

    at: int
    good: bool


def held(probes: Sequence[Probe], first: int, until: int, window: int, q: float) -> bool:
    """Whether every whole window that starts at a probe from `first` on and ends by `until` is good enough."""
    for start in probes[first:]:
        if start.at + window > until:
            break
        inside = [p.good for p in probes if start.at <= p.at < start.at + window]
        if sum(inside) < q * len(inside) - 1e-9:
            return False
    return True


def recovery(
    probes: Sequence[Probe],
    fault: tuple[int, int],
    last_fault: int,
    window: int,
    hold: int,
    q: float,
    end: int,
) -> tuple[int, int | None] | None:
    """(lo, hi) of the RTA in ns, hi None if it is censored; None: no probe was bad after the fault.

    Straight from the text: a_l is the earliest good probe such that every window is good enough until W after it and
    after the last fault; a_k is the probe before it; RTA ∈ (a_k − f_hi, a_l − f_lo].
    """
    bad = [i for i, p in enumerate(probes) if not p.good and p.at >= fault[0]]
    if not bad:
        return None
    for i in range(bad[0] + 1, len(probes)):
        until = max(probes[i].at, last_fault) + max(hold, window)
        if not probes[i].good:
            continue
        if until > end:
            # It may still turn out to be the recovery, or not: all that is certain is what failed before it.
            if held(probes, i, min(until, end), window, q):
                earlier, _ = gamble(probes[bad[0] : i], window, q)
                return max(0, probes[i - 1].at - earlier - fault[1]), None
            continue
        if held(probes, i, until, window, q):
            earlier, later = gamble(probes[bad[0] : i], window, q)
            last = probes[min(i + later, len(probes) - 1)]
            lo = max(0, probes[i - 1].at - earlier - fault[1])
            return lo, max(lo, last.at - fault[0])
    earlier, _ = gamble(probes[bad[0] :], window, q)
    return max(0, probes[-1].at - earlier - fault[1]), None


def gamble(probes: Sequence[Probe], window: int, q: float) -> tuple[int, int]:
    """(ns the lower bound goes down, probes the upper one goes up) when the last bad probes came and went.

    In the window that ends with the last bad probe, `share` of the probes were bad, in more than one row: the share
    1 − q of a window has come together within (1 − q) · w / share; and a row of good probes is no surprise until its
    chance, (1 − share) to the power of its length, is at most 5 %.
    """
    last = max(i for i, p in enumerate(probes) if not p.good)
    inside = [p.good for p in probes[: last + 1] if p.at > probes[last].at - window]
    rows = sum(not good and (i == 0 or inside[i - 1]) for i, good in enumerate(inside))
    if rows < 2:
        return 0, 0
    share = inside.count(False) / len(inside)
    length = 1
    while (1 - share) ** length > 0.05 * (1 + 1e-12):
        length += 1
    return int((1 - q) * window / share), length


@dataclass(frozen=True)
class Told:
    """One sending: its key, what the customer was told, and when."""

    key: str
    outcome: str
    sent: int
    done: int | None


def lost(told: Sequence[Told], ledger: Mapping[str, int]) -> set[str]:
    """Acknowledged keys that the ledger does not have."""
    return {t.key for t in told if t.outcome == "ok"} - {key for key, n in ledger.items() if n}


def doubt(told: Sequence[Told], ledger: Mapping[str, int]) -> dict[str, str]:
    """Keys of which nobody was told, and what became of them."""
    ok = {t.key for t in told if t.outcome == "ok"}
    unknown = {t.key for t in told if t.outcome == "unknown"} - ok
    return {key: {0: "absent", 1: "posted"}.get(ledger.get(key, 0), "doubled") for key in unknown}


def recovery_point(
    told: Sequence[Told], ledger: Mapping[str, int], fault: tuple[int, int]
) -> tuple[int, int] | None:
    """(lo, hi) of the RPA in ns."""
    missing = lost(told, ledger)
    first = {
        key: min((t for t in told if t.key == key and t.outcome == "ok"), key=lambda t: t.done or 0)
        for key in missing
    }
    if not first:
        return None
    lo = max(0, fault[0] - min(t.done or 0 for t in first.values()))
    return lo, max(lo, fault[1] - min(t.sent for t in first.values()))


def holes(told: Sequence[Told], ledger: Mapping[str, int], before: int, after: int) -> set[str]:
    """Lost keys x for which a later one survived on the same database."""
    ok: dict[str, Told] = {}
    for t in told:
        if t.outcome == "ok" and (t.key not in ok or (t.done or 0) < (ok[t.key].done or 0)):
            ok[t.key] = t

    def era(t: Told) -> int | None:
        assert t.done is not None
        return 1 if t.done <= before else 2 if t.sent >= after else None

    return {
        x.key
        for x in ok.values()
        if not ledger.get(x.key)
        and era(x)
        and any(ledger.get(y.key) and era(y) == era(x) and (x.done or 0) < y.sent for y in ok.values())
    }
