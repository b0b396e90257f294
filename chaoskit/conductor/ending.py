"""How a run ends: whoever knows a reason first says it, and everything else winds down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

Ended = Literal["complete", "aborted", "interrupted", "broken", "timeout"]
"""complete: all was observed, or the deadline came · timeout: a step's wait passed · broken: no answer is possible."""


@dataclass(frozen=True)
class End:
    """One ending and its reason."""

    ended: Ended
    reason: str


class Ending:
    """Set once; the first reason stands."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self.end: End | None = None
        self.interrupted = asyncio.Event()
        self._final = False

    def set(self, ended: Ended, reason: str) -> None:
        """End the run for this reason, unless it has ended already."""
        if self.end is None:
            self.end = End(ended, reason)
            self._reached.set()

    def interrupt(self) -> bool:
        """A person wants out: outranks every ending until `finalise`. False if it changes nothing any more."""
        if self._final or self.interrupted.is_set():
            return False
        self.end = End("interrupted", "a person stopped it")
        self._reached.set()
        self.interrupted.set()
        return True

    def finalise(self) -> None:
        """All evidence is in: whoever stops now only stops the tidying up, which is done anyway."""
        self._final = True

    async def wait(self) -> End:
        """Return the ending once there is one."""
        await self._reached.wait()
        assert self.end is not None
        return self.end
