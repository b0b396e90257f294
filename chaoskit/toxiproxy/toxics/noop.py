"""noop: changes nothing; the real server knows it too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.toxiproxy.toxics.settings import Settings
from chaoskit.toxiproxy.toxics.stage import Stage


@dataclass(frozen=True)
class Noop(Settings):
    """No attributes."""

    toxic_type: ClassVar[str] = "noop"
    go_type: ClassVar[str] = "NoopToxic"


class NoopStage(Stage[Noop]):
    """Passes everything."""


SETTINGS = Noop
STAGE = NoopStage
