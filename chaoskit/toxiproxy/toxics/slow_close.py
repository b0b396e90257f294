"""slow_close: the end of the stream arrives `delay` milliseconds late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.toxiproxy.toxics.settings import DURATION_MS_MAX, Settings, whole
from chaoskit.toxiproxy.toxics.stage import Port, Stage, Timer


@dataclass(frozen=True)
class SlowClose(Settings):
    """`delay` in milliseconds."""

    toxic_type: ClassVar[str] = "slow_close"
    go_type: ClassVar[str] = "SlowCloseToxic"

    delay: int = whole(0, DURATION_MS_MAX, "ms")


class SlowCloseStage(Stage[SlowClose]):
    """Bytes pass; only the end is held back."""

    def __init__(self, settings: SlowClose, port: Port) -> None:
        super().__init__(settings, port)
        self._ended_at: float | None = None
        self._timer: Timer | None = None

    def end(self) -> None:
        self._ended_at = self.port.now()
        self._schedule()

    def update(self, settings: SlowClose) -> None:
        super().update(settings)
        if self._ended_at is not None:
            self.cancel()
            self._schedule()

    def release(self) -> None:
        self.cancel()
        if self._ended_at is not None:
            self.port.emit_end()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        assert self._ended_at is not None
        self._timer = self.port.wake(self._ended_at + self.settings.delay / 1000, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._ended_at = None
        self.port.emit_end()


SETTINGS = SlowClose
STAGE = SlowCloseStage
