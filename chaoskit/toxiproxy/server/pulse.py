"""Notes when this process was held up: stopped, or without a processor, it carried nothing, and nobody else can tell.

tick   tick   tick                     tick   tick
 │ 25 ms │ 25 ms │ ← due here, held up → │ 25 ms │
                  lo                    hi

One JSON object a line, times CLOCK_MONOTONIC ns:

    {"r":"begin","t","every_ns","scheduling"}  {"r":"held","lo","hi"}  {"r":"beat","t","late_max_ns"}  {"r":"end","t"}

Whoever asks for the notes needs links that are not held up, so that the process asks for real time as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from chaoskit.processor import PROXY, claim_processor, reclaim_processor, yield_processor

EVERY_NS = 25_000_000
LEAST_NS = 25_000_000
"""A tick that is later than this is noted."""
BEAT_NS = 1_000_000_000
"""How often it says that it lives: one that is silent for much longer is stopped, or starved."""


class Pulse:
    """Ticks in the event loop that carries the links, so that whatever holds up one holds up the other."""

    def __init__(self, path: Path) -> None:
        """Raises OSError for a file that cannot be appended to."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._beat_at = self._late_max = 0

    def start(self) -> None:
        """From the running loop's next turn on."""
        granted, now = claim_processor(PROXY), _now()
        self._say({"r": "begin", "t": now, "every_ns": EVERY_NS, "scheduling": granted})
        self._beat_at = now + BEAT_NS
        self._wait(now)

    def stop(self) -> None:
        """Say that nothing is missed from here on."""
        if self._timer is not None:
            self._timer.cancel()
        yield_processor()
        self._say({"r": "end", "t": _now()})
        os.close(self._file)

    def _wait(self, now: int) -> None:
        self._due = now + EVERY_NS
        self._timer = asyncio.get_running_loop().call_later(EVERY_NS / 1e9, self._tick)

    def _tick(self) -> None:
        now = _now()
        late = now - self._due
        self._late_max = max(self._late_max, late)
        if late > LEAST_NS:
            self._say({"r": "held", "lo": self._due, "hi": now})
        if now >= self._beat_at:
            self._say({"r": "beat", "t": now, "late_max_ns": self._late_max})
            self._beat_at, self._late_max = now + BEAT_NS, 0
            reclaim_processor(PROXY)
        self._wait(now)

    def _say(self, record: dict[str, object]) -> None:
        # On a full disk it falls silent, which is noticed; the links must not end by it.
        with suppress(OSError):
            os.write(self._file, json.dumps(record, separators=(",", ":")).encode() + b"\n")


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
