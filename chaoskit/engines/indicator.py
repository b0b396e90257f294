"""An early-warning indicator: how much of something limited is used, looked at until it passes its mark.

used ───────────────╱── mark ──╱─ all of it: what needs more fails
looks  ·   ·   ·   ·   │
                   └─┬─┘ the mark was passed between these two
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaoskit.clock import monotonic_ns
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.member import Look
from chaoskit.quantity import Duration, Percent

WARN = Percent.parse("80%")
EVERY, LASTING, LASTING_MAX = (Duration.parse(text) for text in ("200ms", "15s", "1m"))
JUDGED_BY = "warned-before-failure"


@dataclass(frozen=True)
class Reading:
    """So much of so much is used; `unit` in words, like `connections`."""

    used: int
    limit: int
    unit: str

    @property
    def share(self) -> float:
        return self.used / self.limit

    def __str__(self) -> str:
        if self.unit == "bytes":
            return f"{self.used / 1e6:.0f} of {self.limit / 1e6:.0f} MB"
        return f"{self.used} of {self.limit} {self.unit}"


def check(warn: Percent, every: Duration, lasting: Duration) -> None:
    """Raises ValueError for a mark that cannot be passed, or a watch that would never look."""
    if not 0 < warn.ratio < 1:
        raise ValueError(f"warn is {warn}; a mark lies between 0% and 100%")
    if not every.ns or lasting < every or lasting > LASTING_MAX:
        raise ValueError(
            f"lasting is {lasting} and every {every}: write 0s < every ≤ lasting ≤ {LASTING_MAX}"
        )


async def watch(
    what: str,
    read: Callable[[], Awaitable[Reading | None]],
    warn: Percent,
    every: Duration,
    lasting: Duration,
) -> Look:
    """Look until the mark is passed, for `lasting` at most; good when it was not. `read` gives None if it sees nothing.

    Facts: `below_ns`, when the last look below the mark was begun (None: there was none), and `above_ns`, when the
    first above it was done (None: it was not passed); `blind`, the spans in which nothing could be seen.
    """
    begun = due = monotonic_ns()
    below: int | None = None
    above: int | None = None
    dark: int | None = None
    blind: list[list[int]] = []
    looks, last = 0, None
    while above is None and due <= begun + lasting.ns:
        await asyncio.sleep((due - monotonic_ns()) / 1e9)
        asked = monotonic_ns()
        now = await _seen(read)
        if now is None:
            dark = asked if dark is None else dark
        else:
            if dark is not None:
                blind.append([dark, asked])
                dark = None
            looks, last = looks + 1, now
            if now.share >= warn.ratio:
                above = monotonic_ns()
            else:
                below = asked
        due = max(due + every.ns, monotonic_ns())
    if dark is not None:
        blind.append([dark, monotonic_ns()])
    told = f"{what}: {last or 'nothing could be seen'}"
    facts = {
        "what": what,
        "warn": warn.ratio,
        "below_ns": below,
        "above_ns": above,
        "looks": looks,
        "last": str(last),
        "blind": blind,
    }
    return Look(
        above is None, f"{told}, {'below' if above is None else 'past'} {warn}", facts={"indicator": facts}
    )


async def _seen(read: Callable[[], Awaitable[Reading | None]]) -> Reading | None:
    """One look; whatever kept it from seeing is noted as blindness, so that a watch never ends without its facts."""
    try:
        return await read()
    except (EnvironmentBroken, OSError, TimeoutError):
        return None
