"""bandwidth: at most `rate` kilobytes per second on each connection."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.toxiproxy.toxics.settings import Settings, whole
from chaoskit.toxiproxy.toxics.stage import PacedStage

#: A chunk is sent in pieces of at most this long, so that a slow line trickles.
PIECE_MS = 100


@dataclass(frozen=True)
class Bandwidth(Settings):
    """`rate` in KB/s of 1,000 bytes; 0 lets nothing through until the toxic is updated or removed."""

    toxic_type: ClassVar[str] = "bandwidth"
    go_type: ClassVar[str] = "BandwidthToxic"

    # The real server dies of a negative rate.
    rate: int = whole(0, 2**40, "KB/s")


class BandwidthStage(PacedStage[Bandwidth]):
    """Each piece leaves when the line would have carried it; being late once is made good on the next."""

    def pieces(self, data: bytes, at: float) -> Iterable[tuple[float, bytes]]:
        rate_bytes_ms = self.settings.rate
        if rate_bytes_ms == 0:
            yield math.inf, data
            return
        due = max(self.last_due, at)
        step = rate_bytes_ms * PIECE_MS
        for begin in range(0, len(data), step):
            piece = data[begin : begin + step]
            due += len(piece) / rate_bytes_ms / 1000
            yield due, piece


SETTINGS = Bandwidth
STAGE = BandwidthStage
