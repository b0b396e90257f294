"""What the run will make of each service: its recipes, ports, health check, before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.model.system import Service, System
from chaoskit.runtimes.bring_up import is_task
from chaoskit.runtimes.docker import health
from chaoskit.runtimes.docker.lifecycle import Prepared
from chaoskit.runtimes.docker.link_layout import CallerSide
from chaoskit.runtimes.docker.services import SERVICE, Attachment, Recipe


def ports_of(system: System, service: str, image: Mapping[str, Any]) -> tuple[int, ...]:
    """The service's TCP ports, the main one first: its role's, Compose's `expose` and `ports`, the image's EXPOSE."""
    role = system.role_of(service)
    own = (system.roles[role].port,) if role is not None else ()
    exposed = (image.get("Config") or {}).get("ExposedPorts") or {}
    told = sorted(
        int(port) for port, _, protocol in (one.partition("/") for one in exposed) if protocol != "udp"
    )
    return tuple(dict.fromkeys((*own, *system.services[service].ports, *told)))


def prepare(
    system: System,
    service: Service,
    image: Mapping[str, Any],
    networks: tuple[str, ...],
    caller: CallerSide | None,
    prefix: str,
    labels: Mapping[str, str],
) -> Prepared:
    """`image` is the engine's inspection of it, `networks` the engine's names."""
    options: dict[str, Any] = {
        "environment": dict(service.environment),
        "command": list(service.command) or None,
        "entrypoint": list(service.entrypoint) or None,
        "volumes": {source: {"bind": target, "mode": "ro"} for target, source in service.mounts.items()},
        "healthcheck": {"test": ["NONE"]},
        "extra_hosts": dict(caller.extra_hosts) if caller else None,
    }
    attachments = tuple(
        Attachment(
            network, (service.name,), caller.link_local_ip if caller and caller.network == network else None
        )
        for network in networks
    )
    recipe = Recipe(
        f"{prefix}-{service.name}",
        service.image or "",
        {**labels, SERVICE: service.name},
        attachments,
        options,
    )
    return Prepared(
        service.name,
        (recipe,),
        ports_of(system, service.name, image),
        health.of_engine((image.get("Config") or {}).get("Healthcheck")),
        service.stop_grace.s,
        is_task(system, service.name),
    )
