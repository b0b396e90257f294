"""Whether a Docker Engine of this machine can be reached and is one that drills can use, within two seconds.

DOCKER_HOST ─► socket ─► who listens there ─► /version (old?) ─► /info (another kernel? rootless?) ─► its networks
"""

from __future__ import annotations

import errno
import getpass
import grp
import ipaddress
import os
import platform
import socket
import stat
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.engine_socket import API, EngineRefused, EngineSilent, EngineSocket

_WITHIN_S = 2.0
_API_MIN = (1, 41)
_START = "on Debian `scripts/set-up-docker` installs and starts one; else `systemctl start docker`, or set DOCKER_HOST"
HERE = "run chaoskit on the engine's own machine; a container of its own needs --pid=host --network=host --privileged"
"""What to do when an engine's containers are out of reach."""


class Unreachable(EnvironmentBroken):
    """No engine that a drill can use: `what` is wrong, and the `remedy`."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True)
class Reached:
    """An engine that answered: what it says of itself, and the gateway of its default network, if it has one."""

    engine: EngineSocket
    version: str
    info: Mapping[str, Any]
    gateway: str | None


def reach(url: str) -> Reached:
    """Raises Unreachable, naming the reason and the remedy, within two seconds."""
    deadline = time.monotonic() + _WITHIN_S
    parts = urlsplit(url)
    peer = None
    if parts.scheme in ("unix", "http+unix"):
        peer = _look_at_socket(parts.path, _WITHIN_S / 2)
    elif parts.scheme in ("tcp", "http") and parts.hostname:
        _refuse_other_machine(url, parts.hostname)
    else:
        raise Unreachable(
            f"DOCKER_HOST {url!r} is no engine of this machine",
            "it is unix:///path/of/docker.sock or tcp://127.0.0.1:2375",
        )
    engine = EngineSocket(url, _WITHIN_S)
    version = _ask(replace(engine, api=""), "/version", deadline)
    told = str(version.get("ApiVersion") or "0")
    number = str(version.get("Version") or "of unknown version")
    if _numbers(told) < _API_MIN:
        raise Unreachable(
            f"Docker Engine {number} (API {told}) at {url} is too old",
            f"install 20.10 or newer (API {API[2:]}); Debian's docker.io will do",
        )
    info = _ask(engine, "/info", deadline)
    _refuse_foreign(url, info)
    gateway = _gateway(engine, deadline)
    if _network_is_ours(peer, gateway) is False:
        raise Unreachable(
            "the engine's networks are not this machine's: chaoskit seems to be in a container, or the engine in "
            "another network namespace",
            HERE,
        )
    return Reached(engine, number, info, gateway)


def _look_at_socket(path: str, within_s: float) -> int:
    """The socket of an engine, by the kernel's word: is it there, may we, does somebody listen. Returns who: a pid."""
    try:
        mode = Path(path).stat()
    except FileNotFoundError:
        raise Unreachable(f"no Docker engine: there is no socket {path}", _START) from None
    except OSError as error:
        raise Unreachable(f"the engine's socket {path}: {error.strerror}", _permission(path)) from None
    if not stat.S_ISSOCK(mode.st_mode):
        raise Unreachable(f"{path} is no socket", "DOCKER_HOST names the engine's socket: unix:///path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(within_s)
        try:
            link.connect(path)
        except PermissionError:
            raise Unreachable(
                f"no permission on the engine's socket {path}", _permission(path, mode)
            ) from None
        except ConnectionRefusedError:
            raise Unreachable(
                f"no Docker engine listens at {path}; the socket is left of one that ended", _START
            ) from None
        except OSError as error:  # a full backlog: EAGAIN, or the time limit
            raise Unreachable(f"the Docker engine at {path} takes no connection: {error}", _hung()) from None
        pid: int = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    if pid == 0:
        raise Unreachable(
            f"the engine behind {path} runs in another pid namespace: chaoskit seems to be in a container itself, "
            "from where containers' processes cannot be seen",
            HERE,
        )
    return pid


def _permission(path: str, mode: os.stat_result | None = None) -> str:
    try:
        group = grp.getgrgid(mode.st_gid).gr_name if mode else "docker"
        user = getpass.getuser()
    except (KeyError, OSError):
        group, user = "docker", "<user>"
    if group in ("docker", "root"):
        return f"run it as root, or `sudo usermod -aG docker {user}` and log in anew"
    return f"join its group ({group}), or run it as root; {path} says who may"


def _hung() -> str:
    return "it is hung or overloaded: look at its log (journalctl -u docker), restart it"


def _refuse_other_machine(url: str, host: str) -> None:
    # Names are not looked up: that may take its time, and an engine of this machine has an address.
    own = {"localhost": "127.0.0.1", platform.node(): "127.0.0.1"}
    try:
        address = ipaddress.ip_address(own.get(host, host))
        with socket.socket(
            socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM
        ) as probe:
            probe.bind((str(address), 0))
    except (ValueError, OSError):
        raise Unreachable(
            f"the engine at {url} is not on this machine: its containers' processes and addresses are out of reach",
            HERE,
        ) from None


def _ask(engine: EngineSocket, path: str, deadline: float) -> Any:
    left_s = max(0.1, deadline - time.monotonic())
    try:
        answer = engine.call("GET", path, within_s=left_s)
    except EngineRefused as error:
        raise Unreachable(
            f"the engine at {engine.url} refuses: {error}",
            "allow it in the engine's authorization plugin, or use another engine",
        ) from None
    except EngineSilent as error:
        refused = isinstance(error.__cause__, ConnectionRefusedError)
        raise Unreachable(str(error), _START if refused else _hung()) from None
    if not isinstance(answer, dict):
        raise Unreachable(f"what listens at {engine.url} is no Docker engine", _START)
    return answer


def _refuse_foreign(url: str, info: Mapping[str, Any]) -> None:
    """Another kernel, or rootless: containers' processes and addresses are not this machine's."""
    system, kernel = str(info.get("OperatingSystem")), str(info.get("KernelVersion"))
    if "Docker Desktop" in system or info.get("OSType", "linux") != "linux" or kernel != platform.release():
        raise Unreachable(
            f"the engine at {url} runs on another kernel ({system}, {kernel}; here {platform.release()}): in a virtual "
            "machine or on another host, so its containers' processes are out of reach",
            "install the engine on this machine (scripts/set-up-docker), or run chaoskit where it is",
        )
    if any("name=rootless" in each for each in info.get("SecurityOptions") or ()):
        raise Unreachable(
            f"the engine at {url} is rootless: its networks are not this machine's",
            "use the system's engine: unset DOCKER_HOST, or scripts/set-up-docker",
        )


def _gateway(engine: EngineSocket, deadline: float) -> str | None:
    """The host's own address on the engine's default network; None when it has none."""
    try:
        network = engine.call("GET", "/networks/bridge", within_s=max(0.1, deadline - time.monotonic()))
    except EngineRefused:
        return None
    except EngineSilent as error:
        raise Unreachable(str(error), _hung()) from None
    for each in (network.get("IPAM") or {}).get("Config") or ():
        subnet = ipaddress.ip_network(each.get("Subnet") or "::/0", strict=False)
        if subnet.version == 4:
            return str(each.get("Gateway") or subnet.network_address + 1)
    return None


def _network_is_ours(peer: int | None, gateway: str | None) -> bool | None:
    """By the network namespace of who listens on the engine's socket; where that is closed, by the gateway's address.

    None when neither can be told.
    """
    if peer is not None:
        try:
            return os.readlink(f"/proc/{peer}/ns/net") == os.readlink("/proc/self/ns/net")  # noqa: PTH115 - no path
        except OSError:  # another user's
            pass
    if gateway is None:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((gateway, 0))
        except OSError as error:
            return False if error.errno == errno.EADDRNOTAVAIL else None
    return True


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
