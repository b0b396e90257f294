"""Whether a drill could run on the Docker Engine: every reason why not, with what to do, in under three seconds.

engine ─► its containers' processes ─► proxy variables ─► root's work ─► images ─► disk space
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.system import System
from chaoskit.runtimes.docker import agent, proxies
from chaoskit.runtimes.docker.engine_socket import EngineRefused, EngineSilent, EngineSocket
from chaoskit.runtimes.docker.ownership import RUN, Owner
from chaoskit.runtimes.docker.reach import HERE, Reached, Unreachable, reach
from chaoskit.runtimes.docker.removal import labelled
from chaoskit.runtimes.docker.toxiproxy_image import toxiproxy_image
from chaoskit.runtimes.finding import Finding

_ENGINE_BYTES_MIN = 10**9
_RUN_BYTES_MIN = 500 * 10**6
_REGISTRY_S = 1.5
_LISTING_S = 2.0
_ONE_S = 0.7
_HEARD_S = 0.8
_ASKED_AT_ONCE = 8
_CARRY = "docs/air-gapped.md says how images are carried over"
_PROGRAMS = {"iptables": "iptables", "nsenter": "util-linux", "ss": "iproute2", "ip": "iproute2"}


def preflight(url: str, system: System, folder: Path) -> None:
    """Raises EnvironmentBroken with the first problem and its remedy when a drill of `system` could not run here."""
    problems = [found for found in findings(url, system, folder) if found.state == "problem"]
    if not problems:
        return
    more = f" ({len(problems) - 1} more: chaoskit doctor --runtime docker)" if len(problems) > 1 else ""
    raise EnvironmentBroken(f"{problems[0].what}; {problems[0].remedy}{more}")


def findings(url: str, system: System | None, folder: Path) -> Iterator[Finding]:
    """A line for each thing looked at; without a reachable engine, only why. `folder` is where runs are recorded."""
    try:
        reached = reach(url)
    except Unreachable as error:
        yield Finding("problem", error.what, error.remedy)
        return
    yield Finding("ok", f"Docker Engine {reached.version} at {url}")
    try:
        yield from _processes(reached)
        gateway = reached.gateway or "172.17.0.1"
        yield from proxies.findings(os.environ, ("127.0.0.1", gateway), system)
        yield from _root()
        yield from _images(reached, system)
        yield from _space(reached, folder)
    except EngineSilent as error:
        yield Finding("problem", str(error), "look at the engine's log (journalctl -u docker), restart it")


def _processes(reached: Reached) -> Iterator[Finding]:
    """A running container's first process must be in our /proc, in that container's control group."""
    for container in reached.engine.call("GET", "/containers/json", {"limit": "3"}):
        try:
            state = reached.engine.call("GET", f"/containers/{container['Id']}/json", within_s=_ONE_S)[
                "State"
            ]
        except EngineRefused:  # gone meanwhile
            continue
        except EngineSilent:  # a container that is just being removed keeps whoever asks for it waiting
            continue
        if not state.get("Running"):
            continue
        if shows_container(state["Pid"], container["Id"]):
            break
        if _insists(reached.engine, container["Id"], state["Pid"]):
            yield Finding(
                "problem",
                f"process {state['Pid']} of container {container['Id'][:12]} is not in this /proc: chaoskit seems "
                "to be in a container itself, or the engine elsewhere",
                HERE,
            )
            return
    yield Finding("ok", "containers' processes and addresses are this machine's")


def _insists(engine: EngineSocket, container: str, pid: int) -> bool:
    """Whether the engine goes on saying that the container runs as a process which we do not see.

    A process that was killed is gone from /proc before a busy engine has heard of it.
    """
    deadline = time.monotonic() + _HEARD_S
    while time.monotonic() < deadline:
        try:
            state = engine.call("GET", f"/containers/{container}/json")["State"]
        except EngineRefused:  # gone meanwhile
            return False
        if not state.get("Running") or state["Pid"] != pid:
            return False
        time.sleep(0.05)
    return True


def shows_container(pid: int, container: str) -> bool:
    """Whether our /proc has the process, in a control group that is named after the container."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except OSError:
        return False


def _root() -> Iterator[Finding]:
    """Kills, counters and limits are root's work: done here, or by an agent container for who is not root."""
    path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/local/sbin:/usr/sbin:/sbin"
    missing = [name for name in _PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        packages = " ".join(dict.fromkeys(_PROGRAMS[name] for name in missing))
        yield Finding(
            "problem",
            f"not installed here: {', '.join(missing)}; partitions and the counting of links need them",
            f"apt-get install {packages}",
        )
    mounts = control_group_mounts(Path("/proc/mounts").read_text(encoding="utf-8"))
    if not mounts:
        yield Finding(
            "problem",
            "control groups are not mounted: containers' processes cannot be found",
            "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
        )
    elif os.geteuid() == 0 and not any(mounts.values()):
        yield Finding(
            "problem",
            f"control groups are read-only ({', '.join(mounts)}): chaoskit seems to be in a container",
            "start it with --privileged and the host's /sys/fs/cgroup",
        )
    elif not missing:
        hands = (
            "root" if os.geteuid() == 0 else f"not root: an agent container ({agent.IMAGE}) does root's work"
        )
        yield Finding("ok", f"signals, control groups, packet filter: {hands}")


def control_group_mounts(mounts: str) -> Mapping[str, bool]:
    """By mount point of /proc/mounts' text, whether the control groups there can be written to."""
    lines = [line.split() for line in mounts.splitlines()]
    return {fields[1]: "rw" in fields[3].split(",") for fields in lines if fields[2] in ("cgroup", "cgroup2")}


def _images(reached: Reached, system: System | None) -> Iterator[Finding]:
    """Those of the system's services that nothing builds, and those of chaoskit's own."""
    wanted: dict[str, str] = {}
    if os.geteuid() != 0:
        wanted[agent.IMAGE] = "the agent that does root's work"
    if system is None or system.links:
        wanted[toxiproxy_image()] = "links"
    for name, service in system.services.items() if system else ():
        if service.image and not service.build and service.compose.pull_policy != "build":
            wanted.setdefault(service.image, f"service {name}")
    missing = [image for image in wanted if not _has(reached, image)]
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        why = list(pool.map(lambda image: _not_pullable(reached, image), missing))
    unavailable = {image: reason for image, reason in zip(missing, why, strict=True) if reason}
    if unavailable:
        names = ", ".join(f"{image} (for {wanted[image]}: {why})" for image, why in unavailable.items())
        yield Finding("problem", f"neither on this engine nor pullable: {names}", _remedy(unavailable))
    for image in missing:
        if image not in unavailable:
            yield Finding(
                "note", f"the image {image} is not here yet; it is pulled first", f"docker pull {image}"
            )
    if not missing:
        yield Finding("ok", f"images: {', '.join(wanted)}")


def _remedy(unavailable: Mapping[str, str]) -> str:
    own = {agent.IMAGE, toxiproxy_image()}
    if own.issuperset(unavailable):
        return f"scripts/set-up-docker makes it; {_CARRY}"
    return f"build or pull it (docker pull {next(iter(set(unavailable) - own))}), or load it; {_CARRY}"


def _has(reached: Reached, image: str) -> bool:
    try:
        reached.engine.call("GET", f"/images/{image}/json")
    except EngineRefused as error:
        if error.status != 404:
            raise
        return False
    return True


def _not_pullable(reached: Reached, image: str) -> str:
    """Why the engine cannot pull it, empty if it can: it is asked to look at the registry, and given little time."""
    try:
        replace(reached.engine, within_s=_REGISTRY_S).call("GET", f"/distribution/{image}/json")
    except EngineSilent:
        return f"its registry did not answer within {_REGISTRY_S:g} s"
    except EngineRefused as error:
        return str(error).partition("/json: ")[2] or str(error)
    return ""


def _space(reached: Reached, folder: Path) -> Iterator[Finding]:
    root = Path(str(reached.info.get("DockerRootDir") or "/var/lib/docker"))
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    for what, place, least, remedy in (
        ("engine's data", root, _ENGINE_BYTES_MIN, "free some: docker system df says what takes it"),
        ("run folders", existing, _RUN_BYTES_MIN, "free some, or choose another folder with --reports"),
    ):
        try:
            free = shutil.disk_usage(place).free
        except OSError:  # the engine's folder may be closed to others
            continue
        text = f"{what} {place}: {free / 1e9:.1f} GB free"
        if free < least:
            yield Finding("problem", f"{text}, {least / 1e9:.1f} GB are needed", remedy)
        else:
            yield Finding("ok", text)


def leftovers(url: str) -> Iterator[Finding]:
    """A note for each dead run that has left something on the engine."""
    left: dict[str, int] = {}
    for found in labelled(EngineSocket(url, _LISTING_S), [RUN]):
        owner = Owner.of(found.labels)
        if owner is not None and owner.standing() == "dead":
            left[owner.run] = left.get(owner.run, 0) + 1
    for run, count in sorted(left.items()):
        yield Finding("note", f"{run} died and left {count} things on the engine", "chaoskit clean")
