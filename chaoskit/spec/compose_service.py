"""One service of a Compose project, merged and in long form, to model.compose.ComposeService."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chaoskit.errors import Problem
from chaoskit.model.compose import ComposeService, NetworkUse
from chaoskit.spec import compose_environment as environment
from chaoskit.spec import compose_parts as parts
from chaoskit.spec import compose_resources as resources
from chaoskit.spec import compose_values as values
from chaoskit.spec.compose_tree import Misfit, Sited
from chaoskit.spec.places import nearest, shown

Reader = Callable[[Sited], Any]


def _all(reader: Reader, names: str) -> dict[str, Reader]:
    return dict.fromkeys(names.split(), reader)


READERS: dict[str, Reader] = {
    **_all(
        values.text,
        "image platform pull_policy working_dir user hostname domainname container_name network_mode mac_address "
        "stop_signal pid ipc uts userns_mode cgroup_parent runtime isolation",
    ),
    **_all(values.flag, "read_only init tty stdin_open privileged oom_kill_disable"),
    **_all(values.words, "command entrypoint"),
    **_all(
        values.texts,
        "group_add dns dns_opt dns_search profiles device_cgroup_rules cap_add cap_drop security_opt",
    ),
    **_all(values.mapped, "storage_opt labels annotations sysctls"),
    **_all(values.several(parts.port), "ports expose"),
    "cgroup": values.one_of("host", "private"),
    "build": parts.build,
    "environment": environment.environment,
    "volumes": values.several(parts.mount),
    "tmpfs": values.several(parts.tmpfs),
    "volumes_from": values.several(parts.volumes_from),
    "secrets": values.several(parts.file_use("/run/secrets/")),
    "configs": values.several(parts.file_use("/")),
    "networks": parts.networks,
    "extra_hosts": values.several(parts.extra_host),
    "links": values.several(parts.link),
    "depends_on": parts.depends_on,
    "healthcheck": parts.healthcheck,
    "restart": resources.restart,
    "stop_grace_period": values.duration,
    "logging": parts.logging,
    "shm_size": values.size,
    "oom_score_adj": values.whole,
    "ulimits": resources.ulimits,
    "devices": values.several(parts.device),
}
"""Key → what reads it; the field has the key's name but for those of `_RENAMED`."""
_RENAMED = {"volumes": "mounts"}
_TOGETHER = frozenset((*resources.KEYS, "deploy", "scale", "env_file", "label_file"))
"""Keys that are read with others."""
ASIDE = {
    "attach": "says what `docker compose up` prints",
    "develop": "serves `docker compose watch`",
    "pull_refresh_after": "is for images that are pulled again, which a run does not do",
}
"""Keys that mean nothing to a run, and why."""
REFUSED = {
    "credential_spec": "it is of Windows containers",
    "external_links": "it leads to containers outside the file, which are not the run's to disturb",
    "gpus": "a run has no way to share them out",
    "models": "nothing here runs language models",
    "post_start": "no hook is run",
    "pre_stop": "no hook is run, so a stop would not be the one that the file describes",
    "provider": "the service is run by something else than the engine",
    "use_api_socket": "with the engine's socket a service could reach what is not the run's",
}
"""Keys that no container of a run can honour, and why."""
KNOWN = frozenset((*READERS, *_TOGETHER, *ASIDE, *REFUSED, "extends"))


def read_service(item: Sited, problems: list[Problem]) -> ComposeService:
    """The canonical form of `services.<name>`; every problem in it is collected, and its key left out."""
    made: dict[str, Any] = {"environment": {}}
    for key, one in item.mapping.items():
        if key.startswith("x-") or one.value is None:
            continue
        if key not in KNOWN:
            message = f"a Compose service has no key `{shown(key)[1:-1]}`"
            problems.append(one.problem(message, nearest(key, KNOWN, "known"), key=True))
        elif key in READERS:
            try:
                made[_RENAMED.get(key, key)] = READERS[key](one)
            except Misfit as error:
                problems.append(error.problem(key))
    for key, more in (
        ("deploy", lambda: resources.read(item.mapping)),
        (
            "env_file",
            lambda: {"environment": environment.env_files(item.mapping, made.get("environment", {}))},
        ),
        ("label_file", lambda: {"labels": environment.label_files(item.mapping, made.get("labels", {}))}),
    ):
        try:
            made.update(more())
        except Misfit as error:
            problems.append(error.problem(_key_of(error, item, key)))
    made["environment"] = {key: value for key, value in made["environment"].items() if value is not None}
    if "network_mode" not in made and not made.get("networks"):
        made["networks"] = {"default": NetworkUse()}
    elif "network_mode" in made and made.get("networks"):
        where = item.mapping["network_mode"]
        problems.append(where.problem("`network_mode` and `networks` exclude each other", key=True))
    return ComposeService(**made)


def _key_of(error: Misfit, item: Sited, default: str) -> str:
    """The service's key below which the mistake stands."""
    depth = len(item.loc)
    return str(error.at.loc[depth]) if len(error.at.loc) > depth else default


def places(item: Sited) -> Mapping[str, Sited]:
    """Key → where it stands."""
    return {key: one for key, one in item.mapping.items() if one.value is not None}
