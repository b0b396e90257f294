"""timeout: nothing gets through, and the connection closes after `timeout` milliseconds of silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.toxiproxy.toxics.settings import DURATION_MS_MAX, Settings, whole
from chaoskit.toxiproxy.toxics.stage import Port, Stage, Timer


@dataclass(frozen=True)
class Timeout(Settings):
    """`timeout` in milliseconds; 0 drops everything until the toxic is removed."""

    toxic_type: ClassVar[str] = "timeout"
    go_type: ClassVar[str] = "TimeoutToxic"

    timeout: int = whole(0, DURATION_MS_MAX, "ms")


class TimeoutStage(Stage[Timeout]):
    """Drops bytes; every chunk restarts the timer, as on the real server.

    Bytes are missing from the stream once one was dropped, so removing the toxic closes the connection.
    """

    def __init__(self, settings: Timeout, port: Port) -> None:
        super().__init__(settings, port)
        self._timer: Timer | None = None

    def start(self) -> None:
        self.cancel()
        if self.settings.timeout > 0:
            self._timer = self.port.wake(self.port.now() + self.settings.timeout / 1000, self.port.finish)

    def feed(self, data: bytes, at: float) -> None:
        self.start()

    def update(self, settings: Timeout) -> None:
        super().update(settings)
        self.start()

    def end(self) -> None:
        self.cancel()
        self.port.emit_end()

    def release(self) -> None:
        self.cancel()
        self.port.finish()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


SETTINGS = Timeout
STAGE = TimeoutStage
