"""limit_data: the connection closes after `bytes` bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.toxiproxy.toxics.settings import Settings, whole
from chaoskit.toxiproxy.toxics.stage import Port, Stage


@dataclass(frozen=True)
class LimitData(Settings):
    """`bytes` is counted per connection, from when the toxic began to apply to it."""

    toxic_type: ClassVar[str] = "limit_data"
    go_type: ClassVar[str] = "LimitDataToxic"

    bytes: int = whole(0, 2**63 - 1, "bytes")


class LimitDataStage(Stage[LimitData]):
    """Passes up to the limit, then closes both sides. The count survives updates of the toxic."""

    def __init__(self, settings: LimitData, port: Port) -> None:
        super().__init__(settings, port)
        self._passed = 0

    def feed(self, data: bytes, at: float) -> None:
        data = data[: max(0, self.settings.bytes - self._passed)]
        if data:
            self._passed += len(data)
            self.port.emit(data, at)
        if self._passed >= self.settings.bytes:
            self.port.finish()


SETTINGS = LimitData
STAGE = LimitDataStage
