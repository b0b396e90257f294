"""What a Toxiproxy server says it is doing, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class ToxicState:
    """One toxic; `stream` is upstream or downstream, `toxicity` the share of connections from 0 to 1."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class ProxyState:
    """One proxy; `listen` is the address it is really bound to, as `host:port`."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[ToxicState, ...] = ()

    @property
    def host(self) -> str:
        """The host part of `listen`."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port part of `listen`."""
        return int(self.listen.rpartition(":")[2])

    def toxic(self, name: str) -> ToxicState | None:
        """The toxic of that name, or None."""
        return next((toxic for toxic in self.toxics if toxic.name == name), None)


@dataclass(frozen=True)
class ProxySpec:
    """A proxy to create."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True


@dataclass(frozen=True)
class LinkBytes:
    """Bytes a proxy read since its server started: from callers (upstream) and from the callee (downstream).

    The real server counts a connection when it closes, the embedded one as bytes pass.
    """

    upstream_bytes: int = 0
    downstream_bytes: int = 0
