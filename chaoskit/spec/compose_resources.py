"""Limits, reservations, replicas and restart policy: `deploy` and the service's own keys, which say the same things."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from chaoskit.model.compose import BlkioDevice, Resources, Restart, RestartName, Ulimit
from chaoskit.spec import compose_values as values
from chaoskit.spec.compose_environment import keys
from chaoskit.spec.compose_tree import Misfit, Sited
from chaoskit.spec.places import shown

_OWN: dict[str, tuple[str, Callable[[Sited], Any]]] = {
    "cpus": ("cpus", values.share),
    "cpu_shares": ("cpu_shares", values.count),
    "cpu_quota": ("cpu_quota", values.microseconds),
    "cpu_period": ("cpu_period", values.microseconds),
    "cpu_rt_runtime": ("cpu_rt_runtime", values.microseconds),
    "cpu_rt_period": ("cpu_rt_period", values.microseconds),
    "cpuset": ("cpuset", values.text),
    "mem_limit": ("memory", values.size),
    "mem_reservation": ("memory_reservation", values.size),
    "memswap_limit": ("memory_and_swap", values.size),
    "mem_swappiness": ("swappiness", values.count),
    "pids_limit": ("pids", values.whole),
}
KEYS = frozenset((*_OWN, "blkio_config", "cpu_count", "cpu_percent"))
_DEPLOY = keys(
    "mode endpoint_mode replicas labels rollback_config update_config resources restart_policy placement"
)
_POLICIES: dict[str, RestartName] = {
    "": "always",
    "any": "always",
    "always": "always",
    "none": "no",
    "no": "no",
    "on-failure": "on-failure",
    "unless-stopped": "unless-stopped",
}


def read(service: Mapping[str, Sited]) -> dict[str, Any]:
    """The fields `resources`, `replicas` and `restart`, as far as the service says something of them."""
    given = {key: one for key, one in service.items() if one.value is not None}
    made = {field: reader(given[key]) for key, (field, reader) in _OWN.items() if key in given}
    for key in ("cpu_count", "cpu_percent"):
        if key in given:
            raise Misfit(given[key], "is of Windows containers", "use `cpus`", key=True)
    if "blkio_config" in given:
        made.update(_blkio(given["blkio_config"]))
    found: dict[str, Any] = {}
    if "scale" in given:
        found["replicas"] = values.count(given["scale"])
    if "deploy" in given:
        deploy = given["deploy"].known(_DEPLOY, "`deploy`")
        if "replicas" in deploy:
            found["replicas"] = values.count(deploy["replicas"])
            if "scale" in given and values.count(given["scale"]) != found["replicas"]:
                raise Misfit(given["scale"], "differs from `deploy.replicas`", "write one of them", key=True)
        if "mode" in deploy:
            values.one_of("replicated", "global", "replicated-job", "global-job")(deploy["mode"])
        if "restart_policy" in deploy:
            found["restart"] = _policy(deploy["restart_policy"])
        if "resources" in deploy:
            _resources(deploy["resources"], given, made)
    found["resources"] = Resources(**made)
    return found


def restart(item: Sited) -> Restart:
    """`no`, `always`, `unless-stopped`, `on-failure`, `on-failure:3`."""
    # YAML 1.1 writers leave `no` unquoted; here it stays the word, but false is meant by some.
    match = re.fullmatch(r"(no|false|always|unless-stopped|on-failure)(?::([0-9]{1,9}))?", item.text)
    if not match or (match[2] and match[1] != "on-failure"):
        message = (
            f"{shown(item.text)} is no restart policy; no, always, unless-stopped, on-failure or on-failure:3"
        )
        raise Misfit(item, message)
    name = "no" if match[1] == "false" else match[1]
    return Restart(name=cast(RestartName, name), retries=int(match[2] or 0))


def ulimits(item: Sited) -> dict[str, Ulimit]:
    """Soft and hard limits by name."""
    found = {}
    for name, one in item.mapping.items():
        parts = one.known(keys("soft hard"), "an entry of `ulimits`")
        if set(parts) != {"soft", "hard"}:
            raise Misfit(one, "needs `soft` and `hard`")
        found[name] = Ulimit(soft=values.whole(parts["soft"]), hard=values.whole(parts["hard"]))
    return found


def _policy(item: Sited) -> Restart:
    found = item.known(keys("condition delay max_attempts window"), "`restart_policy`")
    condition = found["condition"].text if "condition" in found else ""
    name = values.one_of(*_POLICIES)(found["condition"]) if "condition" in found else ""
    attempts = values.count(found["max_attempts"]) if "max_attempts" in found else 0
    policy = _POLICIES[name]
    return Restart(name=policy, retries=attempts if condition == "on-failure" else 0)


def _resources(item: Sited, given: Mapping[str, Sited], made: dict[str, Any]) -> None:
    found = item.known(keys("limits reservations"), "`resources`")
    nothing: dict[str, Sited] = {}
    limits = found["limits"].known(keys("cpus memory pids"), "`limits`") if "limits" in found else nothing
    reserved = (
        found["reservations"].known(keys("cpus memory pids generic_resources devices"), "`reservations`")
        if "reservations" in found
        else nothing
    )
    for part, field, own, reader in (
        (limits.get("cpus"), "cpus", "cpus", values.share),
        (limits.get("memory"), "memory", "mem_limit", values.size),
        (limits.get("pids"), "pids", "pids_limit", values.whole),
        (reserved.get("memory"), "memory_reservation", "mem_reservation", values.size),
    ):
        if part is None or part.value is None:
            continue
        value = reader(part)
        if own in given and made[field] != value:
            raise Misfit(
                given[own], "differs from what `deploy.resources` says", "write one of them", key=True
            )
        made[field] = value


def _blkio(item: Sited) -> dict[str, Any]:
    rates = ("device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops")
    found = item.known(frozenset((*rates, "weight", "weight_device")), "`blkio_config`")
    made: dict[str, Any] = {}
    if "weight" in found:
        made["blkio_weight"] = values.count(found["weight"])
    if "weight_device" in found:
        made["blkio_weight_device"] = tuple(_device(one, "weight") for one in found["weight_device"].items)
    for key in rates:
        if key in found:
            made["blkio_" + key.removeprefix("device_")] = tuple(
                _device(one, "rate") for one in found[key].items
            )
    return made


def _device(item: Sited, what: str) -> BlkioDevice:
    found = item.known(frozenset({"path", what}), "a device of `blkio_config`")
    if set(found) != {"path", what}:
        raise Misfit(item, f"needs `path` and `{what}`")
    return BlkioDevice(path=found["path"].text, value=values.size(found[what]))
