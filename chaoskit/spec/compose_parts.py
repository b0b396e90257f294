"""Parts of a service that are mappings or have a form of their own: builds, mounts, networks, health checks, ports."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from chaoskit.model.compose import (
    Build,
    Condition,
    Dependency,
    Device,
    FileUse,
    HealthCheck,
    Logging,
    Mount,
    NetworkUse,
    Port,
    Tmpfs,
)
from chaoskit.spec import compose_values as values
from chaoskit.spec.compose_environment import environment, keys, path
from chaoskit.spec.compose_tree import Misfit, Sited
from chaoskit.spec.places import nearest, shown

_CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")
_MOUNT = frozenset(
    {"type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs", "image"}
)
_NETWORK = frozenset(NetworkUse.model_fields)
_URL = re.compile(r"[a-z]+://|git@|github\.com/", re.I)


# -- image and process --------------------------------------------------------------------------------


def build(item: Sited) -> Build:
    known = keys(
        "context dockerfile dockerfile_inline args target labels tags cache_from cache_to no_cache pull network "
        "shm_size extra_hosts platforms entitlements ssh additional_contexts isolation privileged secrets ulimits"
    )
    found = item.known(known, "`build`")
    made = {
        **_read(found, values.text, "dockerfile dockerfile_inline target network"),
        **_read(found, values.texts, "tags cache_from platforms"),
        **_read(found, values.flag, "no_cache pull"),
        **_read(found, values.mapped, "labels"),
        **_read(found, values.size, "shm_size"),
        **_read(found, values.several(extra_host), "extra_hosts"),
        **_read(found, environment, "args"),
    }
    made["args"] = {
        key: one for key, one in cast(dict[str, str | None], made.get("args", {})).items() if one is not None
    }
    where = found.get("context", item.like("."))
    context = where.text if _URL.match(where.text) else path(where)
    return Build(context=context, **made)


def depends_on(item: Sited) -> dict[str, Dependency]:
    found = {}
    for name, one in item.mapping.items():
        given = one.known(keys("condition restart required"), "an entry of `depends_on`")
        condition = given["condition"].text if "condition" in given else "service_started"
        if condition not in _CONDITIONS:
            message = f"{shown(condition)} is no condition; {nearest(condition, _CONDITIONS)}"
            raise Misfit(given["condition"], message)
        made = _read(given, values.flag, "restart required")
        found[name] = Dependency(condition=cast(Condition, condition), **made)
    return found


def healthcheck(item: Sited) -> HealthCheck:
    found = item.known(
        keys("test interval timeout retries start_period start_interval disable"), "`healthcheck`"
    )
    made = {
        **_read(found, values.duration, "interval timeout start_period start_interval"),
        **_read(found, values.count, "retries"),
        **_read(found, values.flag, "disable"),
    }
    test: tuple[str, ...] = ()
    if "test" in found and found["test"].value is not None:
        given = found["test"]
        test = values.texts(given) if isinstance(given.value, list) else ("CMD-SHELL", given.text)
        if test and test[0] not in ("CMD", "CMD-SHELL", "NONE"):
            raise Misfit(given, f"{shown(test[0])} cannot begin a test; CMD, CMD-SHELL or NONE")
        if len(test) == 1 and test[0] != "NONE":
            raise Misfit(given, f"{test[0]} stands alone; the command is missing")
    return HealthCheck(test=test, **made)


def logging(item: Sited) -> Logging:
    found = item.known(keys("driver options"), "`logging`")
    return Logging(**_read(found, values.text, "driver"), **_read(found, values.mapped, "options"))


def device(item: Sited) -> Device:
    found = item.known(keys("source target permissions"), "a device")
    if "source" not in found:
        raise Misfit(item, "names no device of the host")
    source = found["source"].text
    made = _read(found, values.text, "permissions")
    target = found["target"].text if "target" in found else source
    return Device(source=source, target=target, **made)


# -- files --------------------------------------------------------------------------------------------


def mount(item: Sited) -> Mount:
    found = item.known(_MOUNT, "a volume")
    kind = found["type"].text if "type" in found else ""
    if kind not in ("bind", "volume", "tmpfs"):
        why = "which the run cannot mount" if kind in ("image", "npipe", "cluster") else "which is unknown"
        raise Misfit(found.get("type", item), f"a volume of type {shown(kind)}, {why}; bind, volume or tmpfs")
    target = found["target"].text if "target" in found else ""
    if not target.startswith("/"):
        raise Misfit(found.get("target", item), f"{shown(target)} is no absolute path in the container")
    source = found["source"].text if "source" in found else ""
    made = {**_read(found, values.flag, "read_only"), **_mount_details(found)}
    if kind == "bind":
        if not source:
            raise Misfit(item, "a bind mount names no path of the host")
        source = path(found["source"])
    if kind == "tmpfs" and source:
        raise Misfit(found["source"], "a tmpfs has no source")
    return Mount(
        kind=cast(Literal["bind", "volume", "tmpfs"], kind),
        source=source or None,
        target=target.rstrip("/") or "/",
        **made,
    )


def _mount_details(found: Mapping[str, Sited]) -> dict[str, Any]:
    nothing: dict[str, Sited] = {}
    bind = (
        found["bind"].known(keys("propagation create_host_path recursive selinux"), "`bind`")
        if "bind" in found
        else nothing
    )
    volume = (
        found["volume"].known(keys("labels nocopy subpath"), "`volume`") if "volume" in found else nothing
    )
    tmpfs = found["tmpfs"].known(keys("size mode"), "`tmpfs`") if "tmpfs" in found else nothing
    if "recursive" in bind and bind["recursive"].text not in ("", "enabled"):
        raise Misfit(
            bind["recursive"], f"`recursive: {bind['recursive'].text}` cannot be honoured; `enabled` can"
        )
    if "subpath" in volume:
        hint = "mount the whole volume, or make it a bind mount of the folder"
        raise Misfit(volume["subpath"], "`subpath` needs an engine that not everybody has", hint)
    return {
        **_read(bind, values.text, "propagation"),
        **_read(bind, values.one_of("z", "Z"), "selinux"),
        **_read(bind, values.flag, "create_host_path"),
        **_read(volume, values.flag, "nocopy"),
        **_read(tmpfs, values.size, "size"),
        **_read(tmpfs, values.mode, "mode"),
    }


def tmpfs(item: Sited) -> Tmpfs:
    target, _, options = item.text.partition(":")
    if not target.startswith("/"):
        raise Misfit(item, f"{shown(target)} is no absolute path in the container")
    return Tmpfs(target=target, options=options)


def volumes_from(item: Sited) -> tuple[str, bool]:
    name, _, access = item.text.partition(":")
    if name == "container":
        raise Misfit(item, f"{shown(item.text)} is a container outside the file; name a service")
    if access not in ("", "ro", "rw"):
        raise Misfit(item, f"{shown(access)} is unknown; ro or rw")
    return name, access == "ro"


def file_use(folder: str) -> Callable[[Sited], FileUse]:
    """Reads a secret or config; a target that is a name alone stands in this folder."""

    def read(item: Sited) -> FileUse:
        found = item.known(keys("source target uid gid mode"), "an entry of secrets or configs")
        if "source" not in found:
            raise Misfit(item, "names no source")
        source = found["source"].text
        target = found["target"].text if "target" in found else source
        made = {**_read(found, values.text, "uid gid"), **_read(found, values.mode, "mode")}
        for key in ("uid", "gid"):
            if key in made and not re.fullmatch(r"[0-9]{1,9}", str(made[key])):
                raise Misfit(found[key], f"{shown(made[key])} is no number of a user or group")
        return FileUse(source=source, target=target if target.startswith("/") else folder + target, **made)

    return read


# -- network ------------------------------------------------------------------------------------------


def networks(item: Sited) -> dict[str, NetworkUse]:
    """The one of the highest priority first, then by name: the first gives the container its gateway."""
    found = {name: _network(one) for name, one in item.mapping.items()}
    return dict(sorted(found.items(), key=lambda one: (-one[1].priority, one[0])))


def _network(item: Sited) -> NetworkUse:
    found = item.known(_NETWORK, "a service's network")
    for key in ("ipv4_address", "ipv6_address"):
        if key in found:
            _address(found[key])
    return NetworkUse(
        **_read(found, values.texts, "aliases link_local_ips"),
        **_read(found, values.text, "ipv4_address ipv6_address mac_address interface_name"),
        **_read(found, values.mapped, "driver_opts"),
        **_read(found, values.number, "priority"),
        **_read(found, values.whole, "gw_priority"),
    )


def _address(item: Sited) -> str:
    try:
        return str(ipaddress.ip_address(item.text))
    except ValueError:
        raise Misfit(item, f"{shown(item.text)} is no IP address") from None


def extra_host(item: Sited) -> tuple[str, str]:
    name, _, address = item.text.partition("=")
    if address != "host-gateway":
        _address(item.like(address))
    return name, address


def link(item: Sited) -> tuple[str, str]:
    service, _, alias = item.text.partition(":")
    return service, alias or service


def port(item: Sited) -> Port:
    found = item.known(keys("target published host_ip protocol mode name app_protocol"), "a port")
    made = _read(found, values.text, "published host_ip mode name app_protocol")
    protocol = values.one_of("tcp", "udp", "sctp")(found["protocol"]) if "protocol" in found else "tcp"
    return Port(target=values.whole(found["target"]), protocol=protocol, **made)


def _read(found: Mapping[str, Sited], reader: Callable[[Sited], Any], names: str) -> dict[str, Any]:
    return {
        name: reader(found[name]) for name in names.split() if name in found and found[name].value is not None
    }
