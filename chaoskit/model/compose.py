"""A Compose file's services, in one canonical form each.

Every short form is written out, every file path is absolute, every size is in bytes, every variable is filled in.
Source: the Compose specification (compose-spec.io). None and empty mean: the file says nothing, so that the image's or
the engine's own default holds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.quantity import Duration

Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]
RestartName = Literal["no", "always", "on-failure", "unless-stopped"]


class Build(Frozen):
    """How an image is built. `context` is an absolute folder or a URL; `dockerfile` is relative to a folder."""

    context: str
    dockerfile: str | None = None
    dockerfile_inline: str | None = None
    args: dict[str, str] = {}
    target: str | None = None
    labels: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    no_cache: bool = False
    pull: bool = False
    network: str | None = None
    shm_size: Annotated[int | None, Field(description="bytes")] = None
    extra_hosts: tuple[tuple[str, str], ...] = ()
    platforms: tuple[str, ...] = ()


class Mount(Frozen):
    """One entry of `volumes`: a bind of a host path, a named or anonymous volume, or memory."""

    kind: Literal["bind", "volume", "tmpfs"]
    target: Annotated[str, Field(description="absolute path in the container")]
    source: Annotated[
        str | None,
        Field(
            description="bind: absolute host path; volume: its key under `volumes`, None for an anonymous one"
        ),
    ] = None
    read_only: bool = False
    create_host_path: Annotated[bool, Field(description="a bind's missing source is made as a folder")] = (
        False
    )
    propagation: str | None = None
    selinux: Literal["z", "Z"] | None = None
    nocopy: Annotated[bool, Field(description="the image's files at the path are not copied in")] = False
    subpath: str | None = None
    size: Annotated[int | None, Field(description="of a tmpfs, in bytes")] = None
    mode: Annotated[int | None, Field(description="of a tmpfs, as chmod counts")] = None


class Tmpfs(Frozen):
    """One entry of the key `tmpfs`: a path and mount(8)'s options as written."""

    target: str
    options: str = ""


class HealthCheck(Frozen):
    """`test` begins with CMD, CMD-SHELL or NONE as for the engine; () leaves the image's test as it is."""

    test: tuple[str, ...] = ()
    interval: Duration | None = None
    timeout: Duration | None = None
    retries: int | None = None
    start_period: Duration | None = None
    start_interval: Duration | None = None
    disable: bool = False


class Dependency(Frozen):
    """One entry of `depends_on`. `restart`: start this service anew when the other was restarted by the user."""

    condition: Condition = "service_started"
    restart: bool = False
    required: bool = True


class NetworkUse(Frozen):
    """A service on one network of the file."""

    aliases: tuple[str, ...] = ()
    ipv4_address: str | None = None
    ipv6_address: str | None = None
    link_local_ips: tuple[str, ...] = ()
    mac_address: str | None = None
    driver_opts: dict[str, str] = {}
    priority: float = 0
    gw_priority: int = 0
    interface_name: str | None = None


class FileUse(Frozen):
    """A secret or config in a container: `source` is its key under `secrets` or `configs`."""

    source: str
    target: Annotated[str, Field(description="absolute path in the container")]
    uid: str | None = None
    gid: str | None = None
    mode: Annotated[int | None, Field(description="as chmod counts; None for 0444")] = None


class Port(Frozen):
    """One port: `published` is text, as it may be a range or empty. Ranges of targets are written out."""

    target: int
    published: str = ""
    host_ip: str = ""
    protocol: str = "tcp"
    mode: str = "ingress"
    name: str | None = None
    app_protocol: str | None = None


class Ulimit(Frozen):
    """A resource limit of setrlimit(2); -1 for unlimited."""

    soft: int
    hard: int


class Device(Frozen):
    """A device of the host in the container."""

    source: str
    target: str
    permissions: str = "rwm"


class Logging(Frozen):
    """Log driver and its options; None for the engine's default."""

    driver: str | None = None
    options: dict[str, str] = {}


class Restart(Frozen):
    """Restart policy. `retries` 0 means without end, of on-failure only."""

    name: RestartName = "no"
    retries: int = 0


class BlkioDevice(Frozen):
    """A rate or weight of one block device."""

    path: str
    value: int


class Resources(Frozen):
    """Limits and reservations, from `deploy.resources` and the service's own keys alike; sizes in bytes."""

    cpus: float | None = None
    cpu_shares: int | None = None
    cpu_quota: Annotated[int | None, Field(description="microseconds")] = None
    cpu_period: Annotated[int | None, Field(description="microseconds")] = None
    cpu_rt_runtime: Annotated[int | None, Field(description="microseconds")] = None
    cpu_rt_period: Annotated[int | None, Field(description="microseconds")] = None
    cpuset: str | None = None
    memory: int | None = None
    memory_reservation: int | None = None
    memory_and_swap: Annotated[int | None, Field(description="-1 for unlimited swap")] = None
    swappiness: int | None = None
    pids: Annotated[int | None, Field(description="-1 for unlimited")] = None
    blkio_weight: int | None = None
    blkio_weight_device: tuple[BlkioDevice, ...] = ()
    blkio_read_bps: tuple[BlkioDevice, ...] = ()
    blkio_write_bps: tuple[BlkioDevice, ...] = ()
    blkio_read_iops: tuple[BlkioDevice, ...] = ()
    blkio_write_iops: tuple[BlkioDevice, ...] = ()


class ComposeService(Frozen):
    """One service as its Compose files say it, after `extends`, merging, variables and profiles."""

    image: str | None = None
    build: Build | None = None
    platform: str | None = None
    pull_policy: str | None = None
    command: Annotated[
        tuple[str, ...] | None, Field(description="None: the image's; (): none, the image's is cleared")
    ] = None
    entrypoint: Annotated[
        tuple[str, ...] | None, Field(description="None: the image's; (): none, the image's is cleared")
    ] = None
    environment: dict[str, str] = {}
    working_dir: str | None = None
    user: str | None = None
    group_add: tuple[str, ...] = ()
    hostname: str | None = None
    domainname: str | None = None
    container_name: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    volumes_from: Annotated[
        tuple[tuple[str, bool], ...], Field(description="(service, read-only) whose mounts are taken over")
    ] = ()
    secrets: tuple[FileUse, ...] = ()
    configs: tuple[FileUse, ...] = ()
    read_only: bool = False
    shm_size: int | None = None
    storage_opt: dict[str, str] = {}

    networks: Annotated[
        dict[str, NetworkUse],
        Field(
            description="by key under `networks`, highest priority first; `default` when the file names none"
        ),
    ] = {}
    network_mode: Annotated[
        str | None,
        Field(description="bridge, host, none, service:<name>, container:<name>; excludes `networks`"),
    ] = None
    mac_address: str | None = None
    extra_hosts: Annotated[tuple[tuple[str, str], ...], Field(description="(name, address)")] = ()
    dns: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    links: Annotated[tuple[tuple[str, str], ...], Field(description="(service, alias)")] = ()
    ports: tuple[Port, ...] = ()
    expose: tuple[Port, ...] = ()

    depends_on: dict[str, Dependency] = {}
    healthcheck: HealthCheck | None = None
    restart: Restart = Restart()
    replicas: int = 1
    profiles: tuple[str, ...] = ()
    stop_signal: str | None = None
    stop_grace_period: Duration | None = None
    init: bool | None = None
    tty: bool = False
    stdin_open: bool = False
    logging: Logging | None = None

    resources: Resources = Resources()
    ulimits: dict[str, Ulimit] = {}
    oom_kill_disable: bool = False
    oom_score_adj: int | None = None
    sysctls: dict[str, str] = {}
    devices: tuple[Device, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()

    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    pid: Annotated[str | None, Field(description="host, service:<name> or container:<name>")] = None
    ipc: str | None = None
    uts: str | None = None
    userns_mode: str | None = None
    cgroup: str | None = None
    cgroup_parent: str | None = None
    runtime: str | None = None
    isolation: str | None = None

    refused: Annotated[
        dict[str, str],
        Field(description="key that nothing here can honour → why; a runtime that uses it refuses"),
    ] = {}
