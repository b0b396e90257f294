"""One service of one Compose file in one canonical shape, so that files can be merged and runtimes need not guess."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chaoskit.errors import Problem
from chaoskit.quantity import Duration
from chaoskit.spec.compose_variables import BadVariable, Variables, read_env_file
from chaoskit.spec.places import Loc, Places, nearest, shown
from chaoskit.spec.scalars import as_text


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


APPLIED = _words(
    """
    build command depends_on entrypoint env_file environment expose extends image ports profiles
    stop_grace_period volumes container_name hostname
    """
)
"""Keys that are read; of `image` and `build` the local runtime says that it does not use them."""
KNOWN = APPLIED | _words(
    """
    annotations attach blkio_config cap_add cap_drop cgroup cgroup_parent configs cpu_count cpu_percent
    cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec deploy
    develop device_cgroup_rules devices dns dns_opt dns_search domainname external_links extra_hosts gpus
    group_add healthcheck init ipc isolation label_file labels links logging mac_address mem_limit
    mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable
    oom_score_adj pid pids_limit platform post_start pre_stop privileged provider pull_policy read_only
    restart runtime scale secrets security_opt shm_size stdin_open stop_signal storage_opt sysctls tmpfs
    tty ulimits use_api_socket user userns_mode uts volumes_from working_dir
    """
)


@dataclass(frozen=True)
class Port:
    """A port of the container. `published` and `ip` only tell entries apart when files are merged."""

    target: int
    published: str = ""
    ip: str = ""
    protocol: str = "tcp"


@dataclass(frozen=True)
class Fragment:
    """What one file says of one service; None and empty mean: nothing said."""

    environment: dict[str, str | None] = field(default_factory=dict)
    from_files: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    expose: tuple[int, ...] = ()
    ports: tuple[Port, ...] = ()
    mounts: dict[str, str | None] = field(default_factory=dict)
    depends_on: dict[str, str] = field(default_factory=dict)
    image: str | None = None
    build: str | None = None
    stop_grace: Duration | None = None
    profiles: tuple[str, ...] = ()
    unapplied: dict[str, Loc] = field(default_factory=dict)

    def over(self, base: Fragment) -> Fragment:
        """This fragment merged over another by Compose's rules ("Merge" and "extends").

        Mappings merge by key, ports and exposed ports add up, volumes merge by their path in the container,
        command, entrypoint and single values replace.
        """
        return Fragment(
            environment={**base.environment, **self.environment},
            from_files={**base.from_files, **self.from_files},
            command=base.command if self.command is None else self.command,
            entrypoint=base.entrypoint if self.entrypoint is None else self.entrypoint,
            expose=tuple(dict.fromkeys(base.expose + self.expose)),
            ports=tuple(dict.fromkeys(base.ports + self.ports)),
            mounts={**base.mounts, **self.mounts},
            depends_on={**base.depends_on, **self.depends_on},
            image=self.image or base.image,
            build=self.build or base.build,
            stop_grace=self.stop_grace or base.stop_grace,
            profiles=tuple(dict.fromkeys(base.profiles + self.profiles)),
            unapplied={**base.unapplied, **self.unapplied},
        )


class ServiceReader:
    """Reads one service mapping; collects every problem in it."""

    def __init__(self, places: Places, folder: Path, variables: Variables, problems: list[Problem]) -> None:
        self.places = places
        self.folder = folder
        self.variables = variables
        self.problems = problems
        self.loc: Loc = ()

    def read(self, name: str, data: Mapping[str, Any]) -> Fragment:
        """The canonical form of `services.<name>`; `extends` is left to the caller."""
        made = Fragment()
        steps: dict[str, Callable[[Fragment, Any], Fragment]] = {
            "environment": lambda f, v: replace(f, environment=self._mapping(v)),
            "env_file": lambda f, v: replace(f, from_files=self._env_files(v)),
            "command": lambda f, v: replace(f, command=self._words(v)),
            "entrypoint": lambda f, v: replace(f, entrypoint=self._words(v)),
            "expose": lambda f, v: replace(f, expose=tuple(port.target for port in self._ports(v))),
            "ports": lambda f, v: replace(f, ports=tuple(self._ports(v))),
            "volumes": lambda f, v: replace(f, mounts=self._volumes(v)),
            "depends_on": lambda f, v: replace(f, depends_on=self._depends_on(v)),
            "image": lambda f, v: replace(f, image=self._scalar(v)),
            "build": lambda f, v: replace(
                f, build=self._scalar(v.get("context", ".") if isinstance(v, dict) else v)
            ),
            "stop_grace_period": lambda f, v: replace(f, stop_grace=Duration.parse(self._scalar(v))),
            "profiles": lambda f, v: replace(f, profiles=tuple(map(self._scalar, self._list(v)))),
        }
        for key, value in data.items():
            self.loc = ("services", name, key)
            if key.startswith("x-") or value is None or key == "extends":
                continue
            if key not in KNOWN:
                self._problem(
                    f"a Compose service has no key `{shown(key)[1:-1]}`",
                    nearest(key, KNOWN, "known"),
                    key=True,
                )
            elif key not in APPLIED:
                made.unapplied[key] = self.loc
            elif key in steps:
                try:
                    made = steps[key](made, value)
                except (ValueError, TypeError) as error:
                    self._problem(f"`{key}`: {error}", "see the Compose specification, services")
        return made

    def _problem(self, message: str, hint: str = "", *, key: bool = False) -> None:
        self.problems.append(self.places.problem(self.loc, message, hint, key=key))

    def _scalar(self, value: Any) -> str:
        if isinstance(value, dict | list):
            raise ValueError(f"{shown(value)} stands where one value belongs")
        return self.variables.fill(value) if isinstance(value, str) else as_text(value)

    def _list(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError(f"{shown(value)} is no list")
        return value

    def _words(self, value: Any) -> tuple[str, ...]:
        if isinstance(value, list):
            return tuple(map(self._scalar, value))
        try:
            return tuple(shlex.split(self._scalar(value)))
        except BadVariable:
            raise
        except ValueError as error:
            raise ValueError(f"{shown(value)} cannot be split into words: {error}") from None

    def _mapping(self, value: Any) -> dict[str, str | None]:
        if isinstance(value, dict):
            return {key: self._entry(key, one) for key, one in value.items()}
        found: dict[str, str | None] = {}
        for item in self._list(value):
            name, equals, text = self._scalar(item).partition("=")
            found[name] = text if equals else self.variables.values.get(name)
        return found

    def _entry(self, key: str, value: Any) -> str | None:
        return self.variables.values.get(key) if value is None else self._scalar(value)

    def _env_files(self, value: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for item in value if isinstance(value, list) else [value]:
            path = self._scalar(item.get("path") if isinstance(item, dict) else item)
            required = item.get("required", True) if isinstance(item, dict) else True
            try:
                if (self.folder / path).exists() and not (self.folder / path).is_file():
                    raise ValueError(f"{shown(path)} is no file")
                found |= read_env_file(self.folder / path, self.variables)
            except FileNotFoundError:
                if required:
                    raise ValueError(f"no such file: {shown(path)}") from None
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"cannot read {shown(path)}: {error}") from None
        return found

    def _ports(self, value: Any) -> list[Port]:
        return [port for item in self._list(value) for port in self._port(item)]

    def _port(self, item: Any) -> list[Port]:
        if isinstance(item, dict):
            target = self._scalar(item.get("target"))
            long = [self._scalar(item.get(key, default)) for key, default in _LONG_PORT]
            return [Port(number, *long) for number in _port_range(target)]
        text, _, protocol = self._scalar(item).partition("/")
        host, _, target = text.rpartition(":")
        ip, _, published = host.rpartition(":")
        return [Port(number, published, ip, protocol or "tcp") for number in _port_range(target)]

    def _volumes(self, value: Any) -> dict[str, str | None]:
        """Path in the container → absolute host path of a bind mount; None for any other kind of volume."""
        found: dict[str, str | None] = {}
        for item in self._list(value):
            if isinstance(item, dict):
                target, source = self._scalar(item.get("target")), self._scalar(item.get("source"))
                bind = item.get("type") == "bind"
            else:
                first, _, rest = self._scalar(item).partition(":")
                target, source = (rest.split(":")[0], first) if rest else (first, "")
                bind = source.startswith((".", "/", "~"))
            if not target.startswith("/"):
                raise ValueError(f"{shown(target)} is no absolute path in the container")
            found[target] = str((self.folder / Path(source).expanduser()).resolve()) if bind else None
        return found

    def _depends_on(self, value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            return {self._scalar(name): "service_started" for name in self._list(value)}
        found = {}
        for name, entry in value.items():
            condition = (
                (entry or {}).get("condition", "service_started") if isinstance(entry, dict | None) else entry
            )
            if condition not in _CONDITIONS:
                raise ValueError(
                    f"{shown(condition)} is no condition; {nearest(str(condition), _CONDITIONS)}"
                )
            found[name] = condition
        return found


_CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")
_LONG_PORT = (("published", ""), ("host_ip", ""), ("protocol", "tcp"))


def _port_range(text: str) -> range:
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    first = int(match[1]) if match else 0
    last = int(match[2] or first) if match else 0
    if not 1 <= first <= last <= 65535 or last - first > 1000:
        raise ValueError(f"{shown(text)} is no port; write one from 1 to 65535, like 8080 or 8080:80")
    return range(first, last + 1)
