"""slicer: bytes arrive in small slices, with a pause after each."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.toxiproxy.toxics.settings import DURATION_MS_MAX, Settings, whole
from chaoskit.toxiproxy.toxics.stage import PacedStage


@dataclass(frozen=True)
class Slicer(Settings):
    """`average_size` and `size_variation` in bytes, `delay` in microseconds after each slice."""

    toxic_type: ClassVar[str] = "slicer"
    go_type: ClassVar[str] = "SlicerToxic"
    go_int: ClassVar[str] = "int"

    # Zero, which is the wire's default, recurses without end in the real server and kills it.
    average_size: int = whole(1, 2**31 - 1, "bytes")
    size_variation: int = whole(0, 2**31 - 1, "bytes")
    delay: int = whole(0, DURATION_MS_MAX * 1000, "µs")

    def problem(self) -> str | None:
        if self.size_variation >= self.average_size:
            return f"size_variation ({self.size_variation}) must be below average_size ({self.average_size})"
        return None


def slices(length: int, settings: Slicer, rng: random.Random) -> Iterator[tuple[int, int]]:
    """Begin and end of each slice: halve until a part is near the average, moving each cut by the variation.

    Source: `toxics/slicer.go` of Toxiproxy 2.12; halving keeps the sizes even from the first slice to the last.
    """
    pending = [(0, length)]
    while pending:
        begin, end = pending.pop()
        if end - begin - settings.average_size <= settings.size_variation:
            yield begin, end
            continue
        middle = begin + (end - begin) // 2
        if settings.size_variation:
            middle += rng.randrange(-settings.size_variation, settings.size_variation)
        pending += [(middle, end), (begin, middle)]


class SlicerStage(PacedStage[Slicer]):
    """Pauses are kept by schedule: timers tick in milliseconds, so pauses below one are kept on average."""

    one_per_turn = True

    def pieces(self, data: bytes, at: float) -> Iterable[tuple[float, bytes]]:
        pause_s = self.settings.delay / 1_000_000
        due = max(self.last_due + pause_s, at)
        for begin, end in slices(len(data), self.settings, self.port.rng):
            yield due, data[begin:end]
            due += pause_s


SETTINGS = Slicer
STAGE = SlicerStage
