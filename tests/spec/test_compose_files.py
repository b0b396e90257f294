"""Compose files as they are found in the wild: each is read, or refused by name with its line."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaoskit.model.system import Link, System
from chaoskit.planner.container_changes import changes
from chaoskit.planner.containers import refuse_containers
from chaoskit.spec import Loaded, compose_resources, compose_service
from chaoskit.spec.compose_environment import keys
from chaoskit.spec.compose_file import Compose, load_compose

FILES = sorted((Path(__file__).parent / "compose_files").glob("*.yaml"))
ENVIRON = {"DB_PASSWORD": "secret", "HOME": "/root"}


def loaded(compose: Compose, *, disposable: bool = False, links: tuple[Link, ...] = ()) -> Loaded:
    """As much of a loaded drill as the refusals and notes look at."""
    system = System.model_construct(
        services=compose.services, compose_project=compose.project, disposable=disposable, links=links
    )
    return cast(Loaded, SimpleNamespace(system=system, compose=compose))


def read(name: str, **environ: str) -> Compose:
    path = Path(__file__).parent / "compose_files" / name
    return load_compose(path, (), {**ENVIRON, **environ})


@pytest.mark.parametrize("path", FILES, ids=lambda path: cast(Path, path).stem)
def test_a_file_is_read_or_refused_by_name_with_its_line(path: Path) -> None:
    expected = re.findall(r"^# refused: (\d+): (.*)$", path.read_text("utf-8"), re.MULTILINE)
    found = read(path.name)
    problems = [*found.problems, *refuse_containers(loaded(found))]
    said = [(str(one.location.line), one.message) for one in problems]
    for line, words in expected:
        assert any(at == line and words in message for at, message in said), (line, words, said)
    assert len(said) == len(expected), said
    assert all(one.location.path.name == path.name and one.hint for one in problems)


@pytest.mark.parametrize("path", FILES, ids=lambda path: cast(Path, path).stem)
def test_a_disposable_system_may_use_what_exists(path: Path) -> None:
    found = read(path.name)
    said = [one.message for one in refuse_containers(loaded(found, disposable=True))]
    assert not [
        one for one in said if "the volume" in one or "lets the service" in one or "is external: it" in one
    ]


def test_everything_of_a_service_is_in_one_form() -> None:
    keycloak = read("keycloak.yaml")
    postgres = keycloak.services["postgres"].compose
    assert postgres.user == "999:999"
    assert postgres.shm_size == 128 << 20
    assert postgres.read_only
    assert [(one.target, one.options) for one in postgres.tmpfs][1] == (
        "/var/run/postgresql", "mode=1777,size=16m"
    )  # fmt: skip
    assert postgres.networks["keycloak"].aliases == ("keycloak-db",)
    assert [one.target for one in postgres.secrets] == ["/run/secrets/db_password"]
    assert keycloak.project.secrets["db_password"].content == "secret"
    assert (
        keycloak.project.configs["realm"].content
        == '{"realm": "drill", "enabled": true, "price": "${euro}"}\n'
    )
    server = keycloak.services["keycloak"].compose
    assert (server.configs[0].mode, server.configs[0].uid) == (0o440, "1000")
    assert "KEYCLOAK_ADMIN_PASSWORD" not in server.environment
    assert server.image == "quay.io/keycloak/keycloak:24.0"
    assert server.depends_on["postgres"].restart

    elastic = read("elastic.yaml")
    es01 = elastic.services["es01"].compose
    assert es01.resources.memory == 1 << 30
    assert es01.resources.memory_and_swap == -1
    assert es01.resources.pids == -1
    assert es01.mounts[0].nocopy
    assert es01.mounts[1].mode == 0o1777
    assert es01.mounts[1].size == 64 << 20
    assert (es01.ulimits["memlock"].soft, es01.ulimits["memlock"].hard) == (-1, -1)
    assert es01.healthcheck is not None
    assert es01.healthcheck.start_interval is not None
    assert "x${ELASTIC_PASSWORD} == x" in elastic.services["setup"].compose.command[2]  # type: ignore[index]
    kibana = elastic.services["kibana"].compose
    assert kibana.links == (("es01", "elasticsearch"),)
    assert "es01" in kibana.depends_on
    assert kibana.dns == ("8.8.8.8",)

    shop = read("shop.yaml")
    worker, api = shop.services["worker"].compose, shop.services["api"].compose
    assert worker.image == "registry.example.org/shop/app:1.4"
    assert worker.environment["LOG_LEVEL"] == "debug"
    assert worker.environment["REDIS_URL"]
    assert worker.stop_signal == "SIGQUIT"
    assert api.replicas == 2
    assert (api.resources.cpus, api.resources.memory, api.resources.memory_reservation) == (
        0.5,
        256 << 20,
        64 << 20,
    )
    stack = read("stack.yaml").services["redis"].compose
    assert (stack.restart.name, stack.restart.retries) == ("on-failure", 3)


def test_extends_include_and_tags() -> None:
    found = read("extended.yaml")
    folder = Path(__file__).parent / "compose_files" / "parts"
    web, other = found.services["web"].compose, found.services["other"].compose
    assert [one.published for one in web.ports] == ["2000"]
    assert web.profiles == ()
    assert web.environment == {"A": "one", "B": "three"}
    assert web.healthcheck is not None
    assert web.healthcheck.test == ("CMD", "true")
    assert str(web.healthcheck.interval) == "1s"
    assert found.services["cache"].compose.image == "redis:7.2"
    assert found.services["cache"].compose.mounts[0].source == str(folder / "data")
    assert other.command is None
    assert other.mounts[0].source == str(folder / "conf")
    assert (other.mounts[0].read_only, other.mounts[0].selinux) == (True, "z")
    assert other.environment == {"FROM_COMMON": "a\nb", "X": "y", "RAW": '"as # it stands $X"'}


def test_what_is_changed_on_purpose_is_said() -> None:
    notes = "\n".join(changes(loaded(read("shop.yaml"))))
    for words in (
        "publishes no port",
        "web",
        "volumes of the run's own",
        "static, queue",
        "`logging`",
        "reservations.cpus",
    ):
        assert words in notes
    notes = "\n".join(changes(loaded(read("vpn.yaml"))))
    for words in ("container_name` stays known, for: gluetun", "runs privileged", "engine's bridge: legacy"):
        assert words in notes
    assert "swarm" in "\n".join(changes(loaded(read("stack.yaml"))))


def test_a_link_of_a_service_in_another_s_network_is_refused() -> None:
    links = (Link.parse("qbittorrent -> gluetun"),)
    said = [str(one) for one in refuse_containers(loaded(read("vpn.yaml"), links=links))]
    assert any("the link `qbittorrent -> gluetun` has no place" in one for one in said)


def test_every_key_of_the_specification_is_read_refused_or_said_to_be_left(tmp_path: Path) -> None:
    """So that nothing is ignored in silence: a key is in exactly one of these."""
    read_keys = (
        set(compose_service.READERS)
        | compose_resources.KEYS
        | {"deploy", "scale", "env_file", "label_file", "extends"}
    )
    groups: list[Any] = [read_keys, set(compose_service.ASIDE), set(compose_service.REFUSED)]
    assert len(set().union(*groups)) == sum(map(len, groups)) == len(compose_service.KNOWN)


# The keys of a service in the Compose specification's JSON Schema.
SPECIFIED = keys(
    """
annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name cpu_count
cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec depends_on deploy
develop device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends
external_links extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging
mac_address mem_limit mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable
oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles provider pull_policy
pull_refresh_after read_only restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period
stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes volumes_from working_dir
"""
)


def test_every_key_of_the_schema_is_known() -> None:
    assert SPECIFIED == compose_service.KNOWN
