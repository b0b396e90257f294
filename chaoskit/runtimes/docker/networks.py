"""The run's own networks and volumes: one for each that the Compose file declares, named and labelled as the run's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from docker.types import IPAMConfig

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.engine import Engine

DEFAULT = "default"


@dataclass(frozen=True)
class NetworkWanted:
    """A network of the Compose file: driver, its options, `internal`, IPAM pools as the engine takes them."""

    driver: str | None = None
    options: Mapping[str, str] | None = None
    internal: bool = False
    attachable: bool = False
    ipv6: bool = False
    ipam: IPAMConfig | None = None
    labels: Mapping[str, str] | None = None


class Networks:
    """Compose's network names and what the engine calls them."""

    def __init__(self, engine: Engine, prefix: str, labels: Mapping[str, str]) -> None:
        self._engine = engine
        self._prefix = prefix
        self._labels = dict(labels)
        self._names: dict[str, str] = {}

    def name(self, network: str) -> str:
        """What the engine calls it: the run's own, or the external one's name. Raises KeyError for one not made."""
        return self._names[network]

    @property
    def names(self) -> Mapping[str, str]:
        """Compose name → engine name of every network made so far."""
        return self._names

    async def create(self, wanted: Mapping[str, NetworkWanted], external: Mapping[str, str]) -> None:
        """Make every network. `external` ones (Compose name → engine name) exist and are left alone."""
        self._names.update(external)
        for name in wanted:
            self._names[name] = f"{self._prefix}-{name}"
        # The engine holds a lock while it makes a network: side by side they would take just as long.
        for name, one in wanted.items():
            await self._engine.do(
                f"make the network {name}", lambda one=one, name=name: self._make(name, one)
            )  # type: ignore[misc]

    def _make(self, name: str, wanted: NetworkWanted) -> None:
        try:
            self._engine.client.api.create_network(
                self._names[name],
                driver=wanted.driver or "bridge",
                options=dict(wanted.options or {}),
                ipam=wanted.ipam,
                internal=wanted.internal,
                attachable=wanted.attachable or None,
                enable_ipv6=wanted.ipv6,
                labels={**(wanted.labels or {}), **self._labels},
                check_duplicate=True,
            )
        except Exception as error:
            if "non-overlapping" in str(error) or "address pool" in str(error):
                raise EnvironmentBroken(
                    f"the engine has no address range left for the network {name}: {error}. Remove networks that "
                    "nobody uses (`docker network ls`), or give the engine more (`default-address-pools`)"
                ) from error
            raise
