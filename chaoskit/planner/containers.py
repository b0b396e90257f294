"""What containers of a run cannot honour of a Compose file, told by name and place while planning.

Two things decide: two runs of one file at once never meet, and a run never touches what existed before it. What only
the second stands against is allowed by `disposable: true` in system.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from chaoskit.errors import Problem
from chaoskit.model.compose import ComposeService
from chaoskit.model.compose_project import FileSource, Volume
from chaoskit.model.system import Service
from chaoskit.spec import Loaded
from chaoskit.spec.compose_host import reaches_beyond, untouchable
from chaoskit.spec.compose_service import REFUSED
from chaoskit.spec.compose_tree import Sited

DISPOSABLE = "if it may be used and changed, write `disposable: true` in system.yaml"
BUILD_REFUSED = (
    "additional_contexts",
    "entitlements",
    "isolation",
    "privileged",
    "secrets",
    "ssh",
    "ulimits",
    "cache_to",
)
"""Keys of `build` that the engine's own builder does not know."""


def refuse_containers(loaded: Loaded) -> list[Problem]:
    """Every value of the Compose file that no container of a run can honour, at its place."""
    problems: list[Problem] = []
    for name, service in loaded.system.services.items():
        item = loaded.compose.written[name]
        problems += _keys(name, service, item)
        problems += _modes(name, service, item, loaded)
        problems += _mounts(name, service, item, loaded)
        problems += _endpoints(name, service.compose, item, loaded)
    problems += _networks(loaded)
    problems += _volumes(loaded)
    problems += _files(loaded)
    return problems


def _keys(name: str, service: Service, item: Sited) -> Iterator[Problem]:
    for key, why in REFUSED.items():
        if key in item.mapping and item.mapping[key].value is not None:
            yield _at(item, key).problem(f"`{name}`: `{key}` cannot be honoured: {why}", _REMOVE, key=True)
    said = service.compose
    if said.image is None and said.build is None and "provider" not in item.mapping:
        yield item.problem(
            f"`{name}` has neither `image` nor `build`", "name an image, or say how it is built", key=True
        )
    reserved = _below(item, "deploy", "resources", "reservations")
    for key in ("generic_resources", "devices"):
        if key in reserved:
            message = f"`{name}`: `deploy.resources.reservations.{key}`: a run has no way to share them out"
            yield reserved[key].problem(message, _REMOVE, key=True)
    build = _at(item, "build")
    for key in BUILD_REFUSED if said.build is not None else ():
        if key in build.mapping and build.mapping[key].value is not None:
            message = f"`{name}`: `build.{key}` is unknown to the engine's own builder"
            hint = (
                "build the image beforehand, and take `build` away in an override file: `build: !reset null`"
            )
            yield build.mapping[key].problem(message, hint, key=True)
    if said.isolation not in (None, "default"):
        yield _at(item, "isolation").problem(
            f"`{name}`: `isolation` is of Windows containers", _REMOVE, key=True
        )


_REMOVE = "take it away in an override file (`!reset null`), or leave the service out with a profile"


def _modes(name: str, service: Service, item: Sited, loaded: Loaded) -> Iterator[Problem]:
    said = service.compose
    mode = said.network_mode or ""
    linked = [one for one in loaded.system.links if name in (one.caller, one.callee)]
    if mode == "host":
        why = "two runs at once would meet on the host's ports, and no link can be put between"
        yield _at(item, "network_mode").problem(f"`{name}`: `network_mode: host`: {why}", _REMOVE)
    elif mode == "none":
        if linked:
            message = f"`{name}` has no network, so the link `{linked[0].name}` has no place"
            yield _at(item, "network_mode").problem(message, "give it `networks`, or take the link out")
    elif mode.startswith("service:"):
        if linked:
            message = (
                f"`{name}` shares the network of another service, so the link `{linked[0].name}` has no place"
            )
            yield _at(item, "network_mode").problem(
                message, f"declare the link of `{mode.partition(':')[2]}` instead"
            )
    elif mode:
        message = f"`{name}`: `network_mode: {mode}` leads out of the file"
        yield _at(item, "network_mode").problem(message, "none, bridge, service:<name>, or `networks`")
    for key in ("pid", "ipc"):
        if (getattr(said, key) or "").startswith("container:"):
            yield _at(item, key).problem(
                f"`{name}`: `{key}` names a container outside the file", "service:<name>"
            )


def _mounts(name: str, service: Service, item: Sited, loaded: Loaded) -> Iterator[Problem]:
    places = {one.mapping["target"].text.rstrip("/") or "/": one for one in _items(item, "volumes")}
    for mount in service.compose.mounts:
        if mount.kind != "bind" or mount.source is None:
            continue
        here, source = places.get(mount.target, item), mount.source
        why = untouchable(source)
        if reaches_beyond(source) and not loaded.system.disposable:
            message = f"`{name}`: {source} lets the service change what is not the run's"
            yield here.problem(message, DISPOSABLE)
        elif why is not None and not mount.read_only and not loaded.system.disposable:
            yield here.problem(
                f"`{name}`: {source} {why}, so it cannot be copied", f"mount it read-only; {DISPOSABLE}"
            )
        elif not mount.create_host_path and not Path(source).exists():
            yield here.problem(
                f"`{name}`: there is no {source} to be mounted", "make it, or write the short form"
            )
    for number, device in enumerate(service.compose.devices):
        if reaches_beyond(device.source) and not loaded.system.disposable:
            here = _items(item, "devices")[number]
            yield here.problem(f"`{name}`: {device.source} is a disk, which is not the run's", DISPOSABLE)


def _endpoints(name: str, said: ComposeService, item: Sited, loaded: Loaded) -> Iterator[Problem]:
    declared = loaded.system.compose_project.networks
    for network, use in said.networks.items():
        here = _at(item, "networks").mapping.get(network, item) if "networks" in item.mapping else item
        for key in ("interface_name", "gw_priority"):
            if getattr(use, key):
                message = f"`{name}`: `{key}` is unknown to the engines that a run must work on"
                yield here.mapping[key].problem(message, _REMOVE, key=True)
        fixed = [key for key in ("ipv4_address", "ipv6_address", "mac_address") if getattr(use, key)]
        if fixed and said.replicas > 1:
            message = f"`{name}`: {said.replicas} containers cannot share one `{fixed[0]}`"
            yield here.mapping[fixed[0]].problem(message, "leave it out, or run one container", key=True)
        pools = declared[network].pools if network in declared else ()
        if use.ipv4_address and not any(pool.subnet for pool in pools) and not declared[network].external:
            message = f"`{name}`: the network `{network}` has no subnet that {use.ipv4_address} could be of"
            yield here.mapping["ipv4_address"].problem(
                message, "write the network's `ipam: {config: [{subnet: …}]}`"
            )


def _networks(loaded: Loaded) -> Iterator[Problem]:
    used = {one for service in loaded.system.services.values() for one in service.compose.networks}
    for name, network in loaded.system.compose_project.networks.items():
        item = loaded.compose.sections["networks"].get(name)
        if name not in used or item is None:
            continue
        if network.external:
            if not loaded.system.disposable:
                yield _at(item, "external").problem(
                    f"the network `{name}` is external: it exists before the run, and others are on it",
                    DISPOSABLE,
                    key=True,
                )
        elif network.driver not in (None, "", "default", "bridge"):
            message = f"the network `{name}`: a run's networks are bridges, not `{network.driver}`"
            yield _at(item, "driver").problem(
                message, "leave `driver` out in an override file (`!reset null`)"
            )


def _volumes(loaded: Loaded) -> Iterator[Problem]:
    if loaded.system.disposable:
        return
    mounts = [mount for service in loaded.system.services.values() for mount in service.compose.mounts]
    used = {mount.source for mount in mounts if mount.kind == "volume"}
    for name, volume in loaded.system.compose_project.volumes.items():
        item = loaded.compose.sections["volumes"].get(name)
        if name not in used or item is None:
            continue
        if volume.external:
            message = f"the volume `{name}` is external: its data existed before the run"
            yield _at(item, "external").problem(message, DISPOSABLE, key=True)
        elif why := elsewhere(volume):
            key = "driver" if volume.driver not in (None, "", "local") else "driver_opts"
            yield _at(item, key).problem(f"the volume `{name}` {why}", DISPOSABLE, key=True)


def elsewhere(volume: Volume) -> str | None:
    """Where a volume's data lies when a new volume of it would not begin empty; None for one of the run's own."""
    if volume.driver not in (None, "", "local"):
        return f"is kept by the driver `{volume.driver}`, whose data may have existed before the run"
    kind, device = volume.driver_opts.get("type", ""), volume.driver_opts.get("device", "")
    if device and kind != "tmpfs":
        return f"is {device}, whose data existed before the run"
    return None


def _files(loaded: Loaded) -> Iterator[Problem]:
    project = loaded.system.compose_project
    declared: tuple[tuple[str, Mapping[str, FileSource]], ...] = (
        ("secrets", project.secrets),
        ("configs", project.configs),
    )
    for section, sources in declared:
        services = loaded.system.services.values()
        used = {use.source for service in services for use in getattr(service.compose, section)}
        for name, source in sources.items():
            item = loaded.compose.sections[section][name]
            if name not in used:
                continue
            if source.external:
                message = f"`{section}.{name}` is external: only a swarm has such"
                yield _at(item, "external").problem(
                    message, "use `file`, `environment` or `content`", key=True
                )
            elif source.file is not None and not Path(source.file).exists():
                message = f"`{section}.{name}`: there is no {source.file}"
                yield _at(item, "file").problem(message, "the path begins at the Compose file's folder")


def _below(item: Sited, *keys: str) -> Mapping[str, Sited]:
    """The entries of a mapping in a mapping; none where one of them is not there."""
    for key in keys:
        if key not in item.mapping:
            return {}
        item = item.mapping[key]
    return item.mapping


def _items(item: Sited, key: str) -> list[Sited]:
    return item.mapping[key].items if key in item.mapping else []


def _at(item: Sited, key: str) -> Sited:
    """The value of a key; the mapping itself when the key is not there."""
    return item.mapping.get(key) or item
