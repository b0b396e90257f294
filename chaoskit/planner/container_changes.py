"""What containers of a run do otherwise than the Compose file says, for the plan's notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from chaoskit.model.compose import ComposeService
from chaoskit.model.compose_project import Network
from chaoskit.spec import Loaded
from chaoskit.spec.compose_file import BRIDGE
from chaoskit.spec.compose_host import untouchable
from chaoskit.spec.compose_sections import HOST_OPTIONS
from chaoskit.spec.compose_service import ASIDE

Services = Mapping[str, ComposeService]
_SWARM = ("endpoint_mode", "labels", "placement", "rollback_config", "update_config")


def changes(loaded: Loaded) -> list[str]:
    """One note for each kind of change, with the services, networks or paths that it concerns."""
    said = {name: service.compose for name, service in loaded.system.services.items()}
    networks = {name: loaded.system.compose_project.networks[name] for name in _networks(said)}
    concerned = {words: of(said, networks, loaded) for words, of in CHANGES.items()}
    return [
        f"of the Compose file docker {words}: {', '.join(names)}"
        for words, names in concerned.items()
        if names
    ]


def _networks(said: Services) -> list[str]:
    return list(dict.fromkeys(network for service in said.values() for network in service.networks))


def _services(
    test: Callable[[ComposeService], object],
) -> Callable[[Services, Mapping[str, Network], Loaded], list[str]]:
    return lambda said, networks, loaded: [name for name, service in said.items() if test(service)]


def _volumes(said: Services, networks: Mapping[str, Network], loaded: Loaded) -> list[str]:
    declared = loaded.system.compose_project.volumes
    mounts = [mount for service in said.values() for mount in service.mounts if mount.kind == "volume"]
    return list(
        dict.fromkeys(
            mount.source for mount in mounts if mount.source and not declared[mount.source].external
        )
    )


def _existing(said: Services, networks: Mapping[str, Network], loaded: Loaded) -> list[str]:
    if not loaded.system.disposable:
        return []
    declared = loaded.system.compose_project.volumes
    mounts = [mount for service in said.values() for mount in service.mounts]
    volumes = [
        str(one.source)
        for one in mounts
        if one.kind == "volume" and one.source and declared[one.source].external
    ]
    binds = [str(one.source) for one in mounts if one.kind == "bind" and untouchable(str(one.source))]
    return list(dict.fromkeys((*(name for name, one in networks.items() if one.external), *volumes, *binds)))


def _binds(said: Services, networks: Mapping[str, Network], loaded: Loaded) -> list[str]:
    mounts = [
        mount
        for service in said.values()
        for mount in service.mounts
        if mount.kind == "bind" and not mount.read_only
    ]
    found = dict.fromkeys(str(mount.source) for mount in mounts)
    return [source for source in found if Path(source).exists() and not untouchable(source)]


def _missing(said: Services, networks: Mapping[str, Network], loaded: Loaded) -> list[str]:
    mounts = [mount for service in said.values() for mount in service.mounts if mount.kind == "bind"]
    return [
        source for source in dict.fromkeys(str(mount.source) for mount in mounts) if not Path(source).exists()
    ]


def _subnets(said: Services, networks: Mapping[str, Network], loaded: Loaded) -> list[str]:
    return [
        pool.subnet
        for network in networks.values()
        if not network.external
        for pool in network.pools
        if pool.subnet
    ]


def _named(said: Services, networks: Mapping[str, Network], loaded: Loaded) -> list[str]:
    found = []
    for name, one in networks.items():
        item = loaded.compose.sections["networks"].get(name)
        options = item.mapping["driver_opts"].mapping if item and "driver_opts" in item.mapping else {}
        if not one.external and (one.name or HOST_OPTIONS & set(options)):
            found.append(name)
    return found


def _bridged(said: Services, networks: Mapping[str, Network], loaded: Loaded) -> list[str]:
    return [name for name, service in said.items() if BRIDGE in service.networks]


def _restarting(service: ComposeService) -> bool:
    """Whether `restart: true` is written, and not only implied by a link."""
    implied = {name for name, _ in (*service.links, *service.volumes_from)}
    return any(one.restart and name not in implied for name, one in service.depends_on.items())


def _aside(said: Services, networks: Mapping[str, Network], loaded: Loaded) -> list[str]:
    found = []
    for name in said:
        item = loaded.compose.written[name].mapping
        keys = [key for key in ASIDE if key in item and item[key].value is not None]
        deploy = item["deploy"].mapping if "deploy" in item else {}
        keys += [f"deploy.{key}" for key in _SWARM if key in deploy]
        policy = deploy["restart_policy"].mapping if "restart_policy" in deploy else {}
        keys += [f"deploy.restart_policy.{key}" for key in ("delay", "window") if key in policy]
        resources = deploy["resources"].mapping if "resources" in deploy else {}
        reserved = resources["reservations"].mapping if "reservations" in resources else {}
        keys += [f"deploy.resources.reservations.{key}" for key in ("cpus", "pids") if key in reserved]
        found += [f"`{key}` of {name}" for key in keys]
    return found


CHANGES: dict[str, Callable[[Services, Mapping[str, Network], Loaded], list[str]]] = {
    "publishes no port, as services are reached at their own addresses, for": _services(
        lambda one: one.ports
    ),
    "gives containers the run's names, under which `container_name` stays known, for": _services(
        lambda one: one.container_name
    ),
    "makes networks under the run's own names, without options that name the host's interfaces": _named,
    "makes volumes of the run's own, empty at the start": _volumes,
    "copies what services may write of this machine, and leaves the original alone": _binds,
    "makes an empty folder of the run's own for what is not there": _missing,
    "uses what existed before the run, as system.yaml calls it disposable": _existing,
    "runs health checks itself, from the start on, for": _services(
        lambda one: one.healthcheck and not one.healthcheck.disable
    ),
    "keeps what services print in the run's folder, whatever `logging` says, for": _services(
        lambda one: one.logging
    ),
    "puts on a network of the run's own, instead of the engine's bridge": _bridged,
    "does not start anew after what they depend on (`restart: true`)": _services(_restarting),
    "gives no `annotations` to": _services(lambda one: one.annotations),
    "runs privileged, as it says, what can then change this machine beyond the run": _services(
        lambda one: one.privileged
    ),
    "needs address ranges that no second run can have at the same time": _subnets,
    "has no use for what only a swarm or `docker compose` itself reads": _aside,
}
"""What is done otherwise, in words → what it concerns."""
