"""reset_peer: both sides get a TCP reset `timeout` milliseconds after the toxic began to apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.toxiproxy.toxics.settings import DURATION_MS_MAX, Settings, whole
from chaoskit.toxiproxy.toxics.stage import Port, Stage, Timer


@dataclass(frozen=True)
class ResetPeer(Settings):
    """`timeout` in milliseconds; 0 resets at once."""

    toxic_type: ClassVar[str] = "reset_peer"
    go_type: ClassVar[str] = "ResetToxic"

    timeout: int = whole(0, DURATION_MS_MAX, "ms")


class ResetPeerStage(Stage[ResetPeer]):
    """Idle and already open connections are reset too; until then bytes and the end of the stream are dropped.

    The real server waits for a first chunk, and sends a FIN on connections that were open before.
    """

    def __init__(self, settings: ResetPeer, port: Port) -> None:
        super().__init__(settings, port)
        self._begun_at = port.now()
        self._timer: Timer | None = None

    def start(self) -> None:
        self.cancel()
        self._timer = self.port.wake(self._begun_at + self.settings.timeout / 1000, self.port.reset)

    def feed(self, data: bytes, at: float) -> None:
        """Dropped: a reset discards it anyway."""

    def end(self) -> None:
        """Dropped: an orderly end would hide the reset."""

    def update(self, settings: ResetPeer) -> None:
        super().update(settings)
        self.start()

    def release(self) -> None:
        # Bytes may be missing from the stream: it must not go on.
        self.cancel()
        self.port.finish()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


SETTINGS = ResetPeer
STAGE = ResetPeerStage
