"""What a service of the system is started with: command line, environment, folders."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.plan import Plan
from chaoskit.runtimes.local.topology import Topology
from chaoskit.runtimes.residue import RUN_MARK, SERVICE_MARK

BACKUPS = "backups"
"""The store of the run's backups, below its scratch folder."""
_KEPT = ("LD_LIBRARY_PATH", "TZ", "VIRTUAL_ENV")
"""What a service sees of the environment chaoskit itself was started in; everything else must be in the
Compose file.
"""


def base_environment(mark: str, service: str, home: Path) -> dict[str, str]:
    """The least a program needs, the same on every machine, and the marks by which heal finds it."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "PATH": path,
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        RUN_MARK: mark,
        SERVICE_MARK: service,
    }


@dataclass(frozen=True)
class Installed:
    """A release that a service is started with: its tree of files, in the place of `path`, and its settings."""

    release: str
    tree: Path | None
    environment: Mapping[str, str]


def environment(
    plan: Plan, topology: Topology, service: str, base: Mapping[str, str], installed: Installed | None = None
) -> dict[str, str]:
    """The service's environment: base, Compose, `local`, a release's, each later one first; callees' hosts
    pointed at the links.
    """
    system = plan.system
    local = system.local[service]
    variables = {**system.services[service].environment}
    variables |= local.environment
    for wiring in plan.wirings:
        if wiring.service == service:
            variables[wiring.variable] = wiring.template
            for link in wiring.links:
                variables[wiring.variable] = variables[wiring.variable].replace(
                    f"{{link:{link}}}", topology.link_hosts[link]
                )
    if installed is not None:
        variables |= installed.environment
    own = topology.hosts[service]
    filled = {"{address}": own, "{home}": base["HOME"], "{backups}": str(Path(base[RUN_MARK]) / BACKUPS)}
    for word, meant in filled.items():
        variables = {name: value.replace(word, meant) for name, value in variables.items()}
    folders = [variables.get("PYTHONPATH", "")]
    if installed is not None and installed.tree is not None:
        folders.insert(0, str(installed.tree))
    elif local.path is not None:
        folders.insert(0, str(folder_of(plan, local.path)))
    if any(folders):
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    return {**base, **variables}


def working_folder(plan: Plan, service: str, installed: Installed | None = None) -> Path:
    """Where the service is started: within a release's tree, if it lies in the folder that the tree stands for.

    Python looks for a module in the working directory before PYTHONPATH.
    """
    local = plan.system.local[service]
    folder = folder_of(plan, local.directory)
    if installed is None or installed.tree is None:
        return folder
    base = folder_of(plan, local.path)
    return installed.tree / folder.relative_to(base) if folder.is_relative_to(base) else folder


def folder_of(plan: Plan, relative: str | None) -> Path:
    """A folder that system.yaml names relative to itself."""
    return (Path(plan.system.folder) / (relative or ".")).resolve()


def command(plan: Plan, topology: Topology, service: str) -> tuple[str, ...]:
    """`run` as words, {address} and {python} filled in; `python` is the Python chaoskit runs on.

    Raises EnvironmentBroken when it cannot be split.
    """
    text = plan.system.local[service].run or ""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise EnvironmentBroken(f"local: {service}: run: {error}: {text!r}") from error
    if not words:
        raise EnvironmentBroken(f"local: {service}: neither `run` nor `postgresql` is given")
    if words[0] in ("python", "python3"):
        words[0] = sys.executable
    own = topology.hosts[service]
    return tuple(word.replace("{address}", own).replace("{python}", sys.executable) for word in words)
