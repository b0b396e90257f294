"""The run's own networks: one for each that the Compose file declares, named and labelled as the run's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.compose_project import Network
from chaoskit.model.system import System
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.engine_socket import EngineRefused
from chaoskit.runtimes.docker.prepare import networks_of


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

    async def create(self, system: System) -> None:
        """Make every network that a service is on. External ones exist, and stay.

        Raises EnvironmentBroken when the engine does not have an external one, or has no address range left.
        """
        used = dict.fromkeys(
            network for service in system.services.values() for network in networks_of(service)
        )
        declared = {name: system.compose_project.networks.get(name, Network()) for name in used}
        for name, network in declared.items():
            external = network.external
            self._names[name] = (network.name or name) if external else f"{self._prefix}-{name}"
        for name, network in declared.items():
            if network.external:
                await self._find(self._names[name])
            else:  # one after the other: the engine holds a lock while it makes a network
                await self._engine.do(f"make the network {name}", partial(self._make, name, network))

    async def _find(self, name: str) -> None:
        look = partial(self._engine.client.api.inspect_network, name)
        try:
            await self._engine.do(f"find the external network {name}", look)
        except EngineRefused as error:
            raise EnvironmentBroken(f"{error}; make it: docker network create {name}") from error

    def _make(self, name: str, network: Network) -> None:
        try:
            self._engine.client.api.create_network(
                self._names[name],
                driver=network.driver or "bridge",
                options=dict(network.driver_opts),
                ipam=_ipam(network),
                internal=network.internal,
                attachable=network.attachable or None,
                enable_ipv6=network.enable_ipv6,
                labels={**network.labels, **self._labels},
                check_duplicate=True,
            )
        except APIError as error:
            if "non-overlapping" in str(error) or "overlaps" in str(error):
                raise EnvironmentBroken(
                    f"the engine has no address range for the network {name}: {error.explanation}. Remove networks "
                    "that nobody uses (`docker network ls`), give the engine more (`default-address-pools`), or take "
                    "the fixed `subnet` out of the Compose file"
                ) from error
            raise


def _ipam(network: Network) -> IPAMConfig | None:
    if not (network.pools or network.ipam_driver or network.ipam_options):
        return None
    pools = [
        IPAMPool(pool.subnet, pool.ip_range, pool.gateway, dict(pool.aux_addresses) or None)
        for pool in network.pools
    ]
    return IPAMConfig(network.ipam_driver or "default", pools, dict(network.ipam_options) or None)
