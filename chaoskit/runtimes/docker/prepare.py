"""What the run will make of each service: its recipes, ports, names, health check, before anything is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chaoskit.model.compose import NetworkUse
from chaoskit.model.system import Service, System
from chaoskit.runtimes.bring_up import is_task
from chaoskit.runtimes.docker import health
from chaoskit.runtimes.docker.lifecycle import Prepared
from chaoskit.runtimes.docker.link_layout import CallerSide
from chaoskit.runtimes.docker.services import SERVICE, Attachment, Recipe

DEFAULT = "default"
_REVIVING = ("always", "unless-stopped", "on-failure")


def networks_of(service: Service) -> Mapping[str, NetworkUse]:
    """The Compose networks a service is on: `default` when its file names none; none with a `network_mode`."""
    if service.compose.network_mode is not None:
        return {}
    return service.compose.networks or {DEFAULT: NetworkUse()}


def names_of(system: System, name: str) -> tuple[str, ...]:
    """Every name under which others may know a service on its networks."""
    compose = system.services[name].compose
    aliases = [alias for use in networks_of(system.services[name]).values() for alias in use.aliases]
    linked = [
        alias
        for other in system.services.values()
        for callee, alias in other.compose.links
        if callee == name and alias
    ]
    given = [one for one in (compose.container_name, compose.hostname) if one]
    return tuple(dict.fromkeys([name, *given, *aliases, *linked]))


def container_name(prefix: str, service: Service, number: int) -> str:
    """What the engine calls a service's container; `container_name` gives way to it, and stays as an alias."""
    return f"{prefix}-{service.name}" + (f"-{number}" if service.compose.replicas > 1 else "")


def ports_of(system: System, service: str, image: Mapping[str, Any]) -> tuple[int, ...]:
    """The service's TCP ports, the main one first: its role's, Compose's `expose` and `ports`, the image's EXPOSE."""
    role = system.role_of(service)
    own = (system.roles[role].port,) if role is not None else ()
    exposed = (image.get("Config") or {}).get("ExposedPorts") or {}
    told = sorted(
        int(port) for port, _, protocol in (one.partition("/") for one in exposed) if protocol in ("", "tcp")
    )
    return tuple(dict.fromkeys((*own, *system.services[service].ports, *told)))


def prepare(
    system: System,
    service: Service,
    image: Mapping[str, Any],
    options: Mapping[str, Any],
    networks: Mapping[str, str],
    caller: CallerSide | None,
    prefix: str,
    labels: Mapping[str, str],
) -> Prepared:
    """`image` is the engine's inspection of it, `options` the SDK's arguments for its containers, `networks` the
    engine's names of the Compose networks.
    """
    compose = service.compose
    # A link's names hide what the file says of them; another name may have several addresses.
    linked = dict(caller.extra_hosts) if caller else {}
    hosts = [*(one for one in compose.extra_hosts if one[0] not in linked), *linked.items()]
    names = names_of(system, service.name)
    made = {
        **options,
        # The engine's own checks would cost the measured phases processor time, and tell nobody anything.
        "healthcheck": {"test": ["NONE"]},
        "extra_hosts": [f"{name}:{address}" for name, address in hosts] or None,
    }
    numbers = range(1, compose.replicas + 1)
    recipes = tuple(
        Recipe(
            container_name(prefix, service, number),
            str(image["Id"]),
            {**compose.labels, **labels, SERVICE: service.name},
            _attachments(service, networks, names, caller, number),
            made,
        )
        for number in numbers
    )
    return Prepared(
        service.name,
        recipes,
        ports_of(system, service.name, image),
        health.merged((image.get("Config") or {}).get("Healthcheck"), compose.healthcheck),
        service.stop_grace.s,
        is_task(system, service.name),
        compose.restart.name in _REVIVING,
        _is_called(system, service.name),
    )


def _is_called(system: System, service: str) -> bool:
    return (
        any(link.callee == service for link in system.links)
        or system.role_of(service) is not None
        or service in system.speaks
    )


def _attachments(
    service: Service,
    networks: Mapping[str, str],
    names: Sequence[str],
    caller: CallerSide | None,
    number: int,
) -> tuple[Attachment, ...]:
    made = []
    for network, use in networks_of(service).items():
        own = [caller.link_local_ips[number - 1]] if caller and caller.network == networks[network] else []
        made.append(
            Attachment(
                networks[network],
                tuple(dict.fromkeys((*names, *use.aliases))),
                (*use.link_local_ips, *own),
                use.ipv4_address,
                use.ipv6_address,
                dict(use.driver_opts),
                use.mac_address,
            )
        )
    return tuple(made)
