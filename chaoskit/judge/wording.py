"""How numbers read: bounds rounded outward to 10 ms, so that nothing finer is shown than can be measured."""

from __future__ import annotations

import math

from chaoskit.model.measurement import Interval

STEP_NS = 10_000_000
"""Bounds are rounded outward to this; a latency finer than 5 ms is never claimed."""
NOTHING = "–"


def floor_s(ns: int) -> float:
    """Seconds, rounded down to 10 ms."""
    return math.floor(ns / STEP_NS) / 100


def ceil_s(ns: int) -> float:
    """Seconds, rounded up to 10 ms."""
    return math.ceil(ns / STEP_NS) / 100


def bounds(interval: Interval | None) -> str:
    """`4.18 – 4.29 s`; `> 12.30 s` if it is only known to be more."""
    if interval is None:
        return "unknown"
    if interval.hi is None:
        return f"> {floor_s(interval.lo):.2f} s"
    return f"{floor_s(interval.lo):.2f} – {ceil_s(interval.hi):.2f} s"


def span(ns: int) -> str:
    """A modelled or written duration: `2m`, `90s`, `1m 5s`, `0.25 s`."""
    seconds, rest = divmod(ns, 10**9)
    if rest:
        return f"{ns / 1e9:.2f} s"
    minutes, seconds = divmod(seconds, 60)
    if not minutes:
        return f"{seconds}s"
    return f"{minutes}m {seconds}s" if seconds else f"{minutes}m"


def money(minor: int, currency: str | None) -> str:
    """Minor units with two decimals and the currency: 1234 CNY → `12.34 CNY`."""
    sign, minor = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{minor // 100}.{minor % 100:02d} {currency or ''}".rstrip()


def share(ratio: float) -> str:
    """A share as `97.31 %`, rounded down so that 100 % means all."""
    return f"{math.floor(ratio * 10_000 + 1e-6) / 100:.2f} %"


def tenths(ns: int) -> str:
    """A time that a person took: `3.2 s`."""
    return f"{ns / 1e9:.1f} s"
