"""Where the time of coming up went, for whoever asks why it took so long."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Laps:
    """Seconds by stage, in the order in which they ended."""

    seconds: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _last: float | None = None

    def end(self, stage: str) -> None:
        """That stage has ended now; the next one begins."""
        now = time.monotonic()
        self.seconds[stage] = now - (self._last or self._began)
        self._last = now

    def mark(self, what: str) -> None:
        """Something has happened within a stage: so many seconds after the beginning of the first one."""
        self.seconds[what] = time.monotonic() - self._began
