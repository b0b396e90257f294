"""A Compose service to the Docker SDK's arguments for creating its containers: pure, nothing is asked or made.

Not here, as the run decides them: name, run labels, networks with their aliases, health check, link hosts. Not given
to the engine at all: published ports, log driver, `annotations`; the plan's notes say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from docker.types import LogConfig, Ulimit
from docker.types import Mount as EngineMount

from chaoskit.model.compose import BlkioDevice, ComposeService, Mount, Resources
from chaoskit.model.system import Service
from chaoskit.runtimes.docker.volumes_plan import Placed


@dataclass(frozen=True)
class Context:
    """What of the run a container's options hold: its mounts, other services' containers by name, the run's labels."""

    mounts: Sequence[Placed] = ()
    containers: Mapping[str, str] = field(default_factory=dict)
    """Service → the engine's name of its first container, for namespaces and mounts that are shared."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Given to anonymous volumes, so that they can be found when the container is gone."""


def container_options(service: Service, context: Context) -> dict[str, Any]:
    """Keyword arguments of docker-py's `containers.create`; what the file does not say is left out."""
    said = service.compose
    options = {
        **_process(said),
        **_isolation(said, context),
        **_host(said),
        **_resources(said.resources),
        **_mounts(said, context),
        "environment": dict(service.environment) or None,
    }
    return {key: value for key, value in options.items() if value is not None}


def _process(said: ComposeService) -> dict[str, Any]:
    return {
        # An empty list clears the image's entrypoint; an empty command the engine takes for none, as with Compose.
        "command": _listed(said.command),
        "entrypoint": _listed(said.entrypoint),
        "working_dir": said.working_dir,
        "user": said.user,
        "group_add": list(said.group_add) or None,
        "hostname": said.hostname,
        "domainname": said.domainname,
        "platform": said.platform,
        "stop_signal": said.stop_signal,
        "init": said.init,
        "tty": said.tty or None,
        "stdin_open": said.stdin_open or None,
        "restart_policy": {"Name": said.restart.name, "MaximumRetryCount": said.restart.retries},
        # The run reads what a service prints; with another driver it could not, and a rotated log would have gaps.
        "log_config": LogConfig(type="json-file", config={}),
    }


def _isolation(said: ComposeService, context: Context) -> dict[str, Any]:
    return {
        "network_mode": _shared(said.network_mode, context),
        "pid_mode": _shared(said.pid, context),
        "ipc_mode": _shared(said.ipc, context),
        "uts_mode": said.uts,
        "userns_mode": said.userns_mode,
        "cgroupns": said.cgroup,
        "cgroup_parent": said.cgroup_parent,
        "runtime": said.runtime,
        "isolation": said.isolation,
        "privileged": said.privileged or None,
        "cap_add": list(said.cap_add) or None,
        "cap_drop": list(said.cap_drop) or None,
        "security_opt": list(said.security_opt) or None,
        "read_only": said.read_only or None,
    }


def _host(said: ComposeService) -> dict[str, Any]:
    return {
        "mac_address": said.mac_address,
        "dns": list(said.dns) or None,
        "dns_opt": list(said.dns_opt) or None,
        "dns_search": list(said.dns_search) or None,
        "sysctls": dict(said.sysctls) or None,
        "devices": [f"{one.source}:{one.target}:{one.permissions}" for one in said.devices] or None,
        "device_cgroup_rules": list(said.device_cgroup_rules) or None,
        "ulimits": [Ulimit(name=name, soft=one.soft, hard=one.hard) for name, one in said.ulimits.items()]
        or None,
        "oom_kill_disable": said.oom_kill_disable or None,
        "oom_score_adj": said.oom_score_adj,
        "shm_size": said.shm_size,
        "storage_opt": dict(said.storage_opt) or None,
    }


def _resources(said: Resources) -> dict[str, Any]:
    return {
        "nano_cpus": None if said.cpus is None else round(said.cpus * 1e9),
        "cpu_shares": said.cpu_shares,
        "cpu_quota": said.cpu_quota,
        "cpu_period": said.cpu_period,
        "cpu_rt_runtime": said.cpu_rt_runtime,
        "cpu_rt_period": said.cpu_rt_period,
        "cpuset_cpus": said.cpuset,
        "mem_limit": said.memory,
        "mem_reservation": said.memory_reservation,
        "memswap_limit": said.memory_and_swap,
        "mem_swappiness": said.swappiness,
        "pids_limit": said.pids,
        "blkio_weight": said.blkio_weight,
        "blkio_weight_device": _devices(said.blkio_weight_device, "Weight"),
        "device_read_bps": _devices(said.blkio_read_bps, "Rate"),
        "device_write_bps": _devices(said.blkio_write_bps, "Rate"),
        "device_read_iops": _devices(said.blkio_read_iops, "Rate"),
        "device_write_iops": _devices(said.blkio_write_iops, "Rate"),
    }


def _mounts(said: ComposeService, context: Context) -> dict[str, Any]:
    mounts, binds = [], []
    memory = {one.target: one.options for one in said.tmpfs}
    for one in context.mounts:
        mount = one.mount
        if mount.kind == "bind" and mount.selinux:
            # The mounts of the API know no SELinux labels; the older binds do.
            words = [mount.selinux, *(["ro"] if mount.read_only else []), *filter(None, [mount.propagation])]
            binds.append(f"{one.source}:{mount.target}:{','.join(words)}")
            continue
        if mount.kind == "tmpfs":
            # Not as a mount: `volumes_from` of a container with one fails in some engines ("no such volume").
            memory[mount.target] = _memory(mount)
            continue
        mounts.append(
            EngineMount(
                mount.target,
                one.source,
                type=mount.kind,
                read_only=mount.read_only,
                propagation=mount.propagation if mount.kind == "bind" else None,
                no_copy=mount.nocopy if mount.kind == "volume" else False,
                labels=dict(context.labels) if mount.kind == "volume" and one.source is None else None,
            )
        )
    taken = [f"{context.containers[name]}:{'ro' if only else 'rw'}" for name, only in said.volumes_from]
    return {
        "mounts": mounts or None,
        "volumes": binds or None,
        "tmpfs": memory or None,
        "volumes_from": taken or None,
    }


def _memory(mount: Mount) -> str:
    """The options of a tmpfs as mount(8) takes them."""
    size = f"size={mount.size}" if mount.size is not None else ""
    mode = f"mode={mount.mode:o}" if mount.mode is not None else ""
    return ",".join(filter(None, ("ro" if mount.read_only else "", size, mode)))


def _shared(mode: str | None, context: Context) -> str | None:
    """`service:x` as the engine takes it: the name of x's container."""
    if mode is None or not mode.startswith("service:"):
        return mode
    return f"container:{context.containers[mode.removeprefix('service:')]}"


def _listed(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _devices(found: tuple[BlkioDevice, ...], what: str) -> list[dict[str, Any]] | None:
    return [{"Path": one.path, what: one.value} for one in found] or None
