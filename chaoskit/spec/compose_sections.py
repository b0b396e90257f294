"""The top-level networks, volumes, secrets and configs of a Compose project, merged, to model.compose_project."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from chaoskit.errors import Problem
from chaoskit.model.compose_project import ComposeProject, FileSource, Network, Pool, Volume
from chaoskit.spec import compose_values as values
from chaoskit.spec.compose_environment import keys, path
from chaoskit.spec.compose_tree import Misfit, Sited, entries

_T = TypeVar("_T")
HOST_OPTIONS = frozenset({"com.docker.network.bridge.name", "com.docker.network.container_iface_prefix"})
"""Options of a network that name interfaces of the host: two runs could not both have them."""


def read_sections(
    name: str, sections: Mapping[str, Mapping[str, Sited]], problems: list[Problem]
) -> ComposeProject:
    """Every section; problems are collected."""
    return ComposeProject(
        name=name,
        networks=_section(sections["networks"], network, problems),
        volumes=_section(sections["volumes"], volume, problems),
        secrets=_section(sections["secrets"], file_source, problems),
        configs=_section(sections["configs"], file_source, problems),
    )


def _section(
    found: Mapping[str, Sited], read: Callable[[Sited], _T], problems: list[Problem]
) -> dict[str, _T]:
    made = {}
    for name, one in entries(found).items():
        try:
            made[name] = read(one)
        except Misfit as error:
            problems.append(error.problem(name))
    return made


def network(item: Sited) -> Network:
    """An entry of `networks`."""
    found = item.known(
        keys("name driver driver_opts ipam external internal enable_ipv4 enable_ipv6 attachable labels"),
        "a network",
    )
    if "enable_ipv4" in found and not values.flag(found["enable_ipv4"]):
        raise Misfit(found["enable_ipv4"], "a run reaches services over IPv4; `true` is needed", key=True)
    return Network(
        **_common(found), **_flags(found, "internal attachable enable_ipv6"), **_ipam(found.get("ipam"))
    )


def volume(item: Sited) -> Volume:
    """An entry of `volumes`."""
    return Volume(**_common(item.known(keys("name driver driver_opts external labels"), "a volume")))


def file_source(item: Sited) -> FileSource:
    """An entry of `secrets` or `configs`: of file, content, environment and external exactly one."""
    found = item.known(
        keys("name file content environment external labels driver driver_opts template_driver"),
        "a secret or config",
    )
    external, name = _external(found)
    ways = [
        key for key in ("file", "content", "environment") if key in found and found[key].value is not None
    ]
    if len(ways) + external != 1:
        raise Misfit(item, "needs exactly one of `file`, `content`, `environment` and `external: true`")
    for key in ("driver", "template_driver"):
        if key in found:
            raise Misfit(
                found[key], f"`{key}` needs a swarm", "use `file`, `content` or `environment`", key=True
            )
    made: dict[str, Any] = {}
    if "file" in ways:
        made["file"] = path(found["file"])
    if "content" in ways:
        made["content"] = found["content"].text
    if "environment" in ways:
        variable = found["environment"].text
        given = item.origin.variables.values
        if variable not in given:
            raise Misfit(found["environment"], f"the variable {variable} is not set", f"set {variable}")
        made["content"] = given[variable]
    return FileSource(external=external, name=name, **made)


def _common(found: Mapping[str, Sited]) -> dict[str, Any]:
    external, name = _external(found)
    made: dict[str, Any] = {"external": external, "name": name}
    if "driver" in found and found["driver"].value is not None:
        made["driver"] = found["driver"].text
    for key in ("driver_opts", "labels"):
        if key in found:
            made[key] = values.mapped(found[key])
    return made


def _external(found: Mapping[str, Sited]) -> tuple[bool, str | None]:
    """Whether it exists already, and its name; `external: {name: x}` is the old form."""
    name = found["name"].text if "name" in found and found["name"].value is not None else None
    given = found.get("external")
    if given is None or given.value is None:
        return False, name
    if isinstance(given.value, dict):
        old = given.known(keys("name"), "`external`")
        return True, old["name"].text if "name" in old else name
    return values.flag(given), name


def _flags(found: Mapping[str, Sited], names: str) -> dict[str, Any]:
    return {
        name: values.flag(found[name])
        for name in names.split()
        if name in found and found[name].value is not None
    }


def _ipam(item: Sited | None) -> dict[str, Any]:
    if item is None:
        return {}
    found = item.known(keys("driver config options"), "`ipam`")
    made: dict[str, Any] = {}
    if "driver" in found and found["driver"].value is not None:
        made["ipam_driver"] = found["driver"].text
    if "options" in found:
        made["ipam_options"] = values.mapped(found["options"])
    pools = []
    for one in found["config"].items if "config" in found else ():
        pool = one.known(keys("subnet ip_range gateway aux_addresses"), "an entry of `ipam.config`")
        texts = {
            key: given.text
            for key, given in pool.items()
            if key != "aux_addresses" and given.value is not None
        }
        aux = values.mapped(pool["aux_addresses"]) if "aux_addresses" in pool else {}
        pools.append(
            Pool(
                subnet=texts.get("subnet"),
                ip_range=texts.get("ip_range"),
                gateway=texts.get("gateway"),
                aux_addresses=aux,
            )
        )
    return {**made, "pools": tuple(pools)}
