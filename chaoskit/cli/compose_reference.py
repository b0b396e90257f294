"""The reference page of what a run on Docker does with each key of a Compose file, from the code that does it."""

from __future__ import annotations

from chaoskit.planner.container_changes import CHANGES
from chaoskit.planner.containers import BUILD_REFUSED
from chaoskit.spec.compose_service import ASIDE, KNOWN, REFUSED

_HEAD = """# Compose files on Docker

What the docker runtime does with every key of a service in a Compose file. Files are read as the Compose specification
says: `extends` (also of other files), `include`, override files with `!reset` and `!override`, anchors and merge keys,
`${VAR}` in all its forms, `.env`, `env_file` with `format: raw`, profiles (`COMPOSE_PROFILES`), short and long forms.
A key that the specification does not know is a mistake, told with its line; `x-` keys are left alone.

A plan (`chaoskit plan`) says in its notes what of this concerns the system at hand.
"""
CHANGED = {
    "build": "built if the image is not there; refused within it: "
    + ", ".join(f"`{one}`" for one in BUILD_REFUSED),
    "configs": "applied, with owner and mode; `external` ones are refused, as only a swarm has them",
    "container_name": "the container has the run's name, and this one as an alias on its networks",
    **dict.fromkeys(("cpu_count", "cpu_percent"), "refused: it is of Windows containers; `cpus` is applied"),
    "depends_on": "applied, all conditions and `required`; `restart: true` is not acted on",
    "deploy": "`resources`, `replicas` and `restart_policy` (condition, max_attempts) are applied; reserved devices "
    "and generic resources are refused; what only a swarm reads has no use",
    "devices": "applied; a disk is refused unless the system is disposable",
    "healthcheck": "run by chaoskit itself, from the start on; the engine's own is off",
    "isolation": "refused but for `default`: it is of Windows containers",
    "logging": "not applied: the run keeps what services print",
    "network_mode": "`none` and `service:<name>` are applied, `bridge` gives a network of the run's own; `host` and "
    "`container:<name>` are refused: two runs would meet, and no link could be put between",
    "networks": "the run's own, bridges only, without names and options that two runs could not both have; external "
    "ones are refused unless the system is disposable; `interface_name` and `gw_priority` are refused",
    "pid": "applied; `container:<name>` is refused",
    "ipc": "applied; `container:<name>` is refused",
    "annotations": "given to nobody",
    "ports": "published nowhere: services are reached at their own addresses; the targets say where they listen",
    "privileged": "applied, and said in the plan's notes: what it changes on this machine no run undoes",
    "secrets": "applied, with owner and mode; `external` ones are refused, as only a swarm has them",
    "scale": "applied, as `deploy.replicas`",
    "volumes": "named ones are the run's own, empty at the start; a writable bind mount is a copy, shared by the "
    "services that share it; a read-only one stays as it is; refused: `subpath`, a type other than bind, volume and "
    "tmpfs, and what the system must be disposable for",
    "volumes_from": "applied; `container:<name>` is refused",
}
"""What is not simply applied, and no word of a note or refusal says whole."""
_DISPOSABLE = """## What `disposable: true` allows

A run never touches data that existed before it. What could, is refused with its line, unless `system.yaml` says
`disposable: true`:

- external volumes and networks
- volumes of a driver other than `local`, or whose `driver_opts` name a device or a share
- bind mounts of the engine's socket and of any other socket, pipe or disk, read-only ones too: they let a service act
  on what is not the run's
- writable bind mounts of `/`, `/proc`, `/sys`, `/dev`, `/run`, `/var/run` and `/var/lib/docker`, for which no copy can
  stand
- disks under `devices`

Copies of writable bind mounts keep owners, permissions, links and times; sockets in them are left out. More than 2 GiB
or 200,000 files are not copied: the run stops and says so. A bind mount whose source does not exist is an empty folder
of the run's; nothing is made on the host.
"""


def compose_page() -> str:
    """The page as Markdown."""
    rows = [f"| `{key}` | {_said(key)} |" for key in sorted(KNOWN)]
    notes = [f"- of the Compose file docker {words}: …" for words in CHANGES]
    return "\n".join(
        [
            _HEAD,
            "## Keys of a service\n",
            "| key | in a run |",
            "|---|---|",
            *rows,
            "",
            _DISPOSABLE,
            "## Notes of a plan\n",
            "Each is followed by the services, networks, volumes or paths that it is about.\n",
            *notes,
            "",
        ]
    )


def _said(key: str) -> str:
    if key in REFUSED:
        return f"refused: {REFUSED[key]}"
    if key in ASIDE:
        return f"has no use here: it {ASIDE[key]}"
    return CHANGED.get(key, "applied")
