"""latency: everything arrives `latency` ± `jitter` milliseconds after it was read, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.toxiproxy.toxics.settings import DURATION_MS_MAX, Settings, whole
from chaoskit.toxiproxy.toxics.stage import PacedStage


@dataclass(frozen=True)
class Latency(Settings):
    """`latency` and `jitter` in milliseconds; the delay is drawn per chunk from latency ± jitter."""

    toxic_type: ClassVar[str] = "latency"
    go_type: ClassVar[str] = "LatencyToxic"

    latency: int = whole(0, DURATION_MS_MAX, "ms")
    jitter: int = whole(0, DURATION_MS_MAX, "ms")


class LatencyStage(PacedStage[Latency]):
    """Delays count from the time of reading, so they do not add up over chunks.

    The end of the stream is not delayed by itself, but it waits for what was read before it: bytes that are under
    way when the source dies are still delivered, as on a real line.
    """

    # A line of 4 MiB in flight: the real server holds 1,024 chunks of up to 32 KiB.
    limit_bytes = 4 * 1024 * 1024

    def pieces(self, data: bytes, at: float) -> Iterable[tuple[float, bytes]]:
        jitter = self.settings.jitter
        delay_ms = self.settings.latency + (self.port.rng.randrange(-jitter, jitter) if jitter else 0)
        return [(at + delay_ms / 1000, data)]


SETTINGS = Latency
STAGE = LatencyStage
