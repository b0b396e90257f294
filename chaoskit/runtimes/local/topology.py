"""Which address every service and every link of a run gets, ports unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.system import System
from chaoskit.runtimes.addresses import ADDRESSES_MAX, CONTROL_HOST
from chaoskit.runtimes.bring_up import is_task

_CONTROL_PORT = 8474
_POSTGRESQL_PORT = 5432


@dataclass(frozen=True)
class Topology:
    """Hosts by service and by link name; every port of a callee is proxied, the first one is *the* port."""

    hosts: Mapping[str, str]
    link_hosts: Mapping[str, str]
    ports: Mapping[str, tuple[int, ...]]
    control: Address

    def service(self, name: str) -> Address:
        """The service's own address. Raises KeyError for one that the system does not have."""
        return Address(self.hosts[name], self.ports[name][0])


def lay_out(system: System, prefix: str) -> Topology:
    """One address of `prefix`.0/24 for each service and link, in the order the system names them.

    Raises EnvironmentBroken when there are more than fit, or a service has no port or no entry under `local`.
    """
    names = [*system.services, *(link.name for link in system.links)]
    if len(names) > ADDRESSES_MAX:
        raise EnvironmentBroken(
            f"{len(system.services)} services and {len(system.links)} links need {len(names)} addresses; "
            f"the local runtime has {ADDRESSES_MAX} a run"
        )
    hosts = {name: f"{prefix}.{number}" for number, name in enumerate(names, start=1)}
    return Topology(
        hosts={name: hosts[name] for name in system.services},
        link_hosts={link.name: hosts[link.name] for link in system.links},
        ports={name: ports_of(system, name) for name in system.services},
        control=Address(f"{prefix}.{CONTROL_HOST}", _CONTROL_PORT),
    )


def ports_of(system: System, name: str) -> tuple[int, ...]:
    """The service's ports, the main one first."""
    local = system.local.get(name)
    if local is None:
        raise EnvironmentBroken(
            f"system.yaml does not say how {name} runs without Docker; add it under `local:`, "
            f"like `{name}: {{run: python -m …}}`"
        )
    declared = system.services[name].ports
    if is_task(system, name):
        return declared
    role = system.role_of(name)
    if local.port is not None:
        main: tuple[int, ...] = (local.port,)
    elif local.postgresql is not None:
        main = (system.roles[role].port if role else _POSTGRESQL_PORT,)
    else:
        main = declared[:1]
    if not main:
        raise EnvironmentBroken(
            f"no port of {name} is known: give `expose` in the Compose file, or `local: {name}: {{port: …}}`"
        )
    return main + tuple(port for port in declared if port not in main)
