"""preflight: every reason why a drill cannot run on an engine, by name, with the remedy, in under three seconds."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from chaoskit.cli import doctor
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.system import Link, Service, System
from chaoskit.runtimes.docker import preflight as module
from chaoskit.runtimes.docker import proxies
from chaoskit.runtimes.docker.preflight import control_group_mounts, preflight
from tests.runtimes.docker.stand_in_engine import engine, sound

_LIMIT_S = 3.0


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("CHAOSKIT_TOXIPROXY_IMAGE", raising=False)


def system(**services: Service) -> System:
    services = services or {"web": Service(name="web", image="web:1")}
    links = (Link(caller="customers", callee=next(iter(services))),)
    return System(
        system="shop", compose="compose.yaml", folder="/", services=services, links=links, journeys={}
    )


def refused(url: str, folder: Path, what: System | None = None) -> str:
    """The message of preflight, which must come in time."""
    began = time.monotonic()
    with pytest.raises(EnvironmentBroken) as caught:
        preflight(url, what or system(), folder)
    assert time.monotonic() - began < _LIMIT_S
    assert caught.value.exit_code == 3
    return str(caught.value)


def changed(**parts: Any) -> dict[str, tuple[int, Any]]:
    """A sound engine whose /info says something else."""
    answers = sound()
    answers["/v1.41/info"] = (200, {**answers["/v1.41/info"][1], **parts})
    return answers


def test_a_sound_engine_is_fine(tmp_path: Path) -> None:
    with engine(sound(), tmp_path / "s") as url:
        preflight(url, system(), tmp_path)
    with engine(sound()) as url:
        preflight(url, system(), tmp_path)


def test_no_engine(tmp_path: Path) -> None:
    message = refused(f"unix://{tmp_path}/none", tmp_path)
    assert "there is no socket" in message
    assert "scripts/set-up-docker" in message


def test_a_socket_that_a_dead_engine_left(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert "left of one that ended" in refused(f"unix://{path}", tmp_path)


def test_no_permission_on_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    with engine(sound(), tmp_path / "s") as url:
        monkeypatch.setattr(socket.socket, "connect", closed)
        message = refused(url, tmp_path)
    assert "no permission on the engine's socket" in message
    assert "as root" in message


def test_an_engine_that_hangs(tmp_path: Path) -> None:
    with engine({"/version": (0, None)}, tmp_path / "s") as url:
        message = refused(url, tmp_path)
    assert "did not answer within" in message
    assert "restart it" in message


def test_a_socket_that_takes_no_connection(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as first:
        server.bind(str(path))
        server.listen(0)
        first.connect(str(path))
        assert "takes no connection" in refused(f"unix://{path}", tmp_path)


def test_an_engine_too_old(tmp_path: Path) -> None:
    with engine({"/version": (200, {"ApiVersion": "1.40", "Version": "19.03.15"})}, tmp_path / "s") as url:
        message = refused(url, tmp_path)
    assert "Docker Engine 19.03.15 (API 1.40)" in message
    assert "20.10 or newer" in message


def test_no_engine_at_all_behind_the_port(tmp_path: Path) -> None:
    with engine({"/version": (200, ["hello"])}) as url:
        assert "is no Docker engine" in refused(url, tmp_path)


@pytest.mark.parametrize("url", ["tcp://192.0.2.7:2375", "tcp://engine.invalid:2375"])
def test_a_remote_engine(tmp_path: Path, url: str) -> None:
    message = refused(url, tmp_path)
    assert "is not on this machine" in message
    assert "on the engine's own machine" in message


@pytest.mark.parametrize("url", ["ssh://host", "https://127.0.0.1:2376", "docker.sock"])
def test_a_kind_of_address_that_is_none_of_this_machine(tmp_path: Path, url: str) -> None:
    assert "unix:///path/of/docker.sock" in refused(url, tmp_path)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"KernelVersion": "5.0.0-linuxkit"}, "runs on another kernel"),
        ({"OperatingSystem": "Docker Desktop"}, "in a virtual machine"),
        ({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}, "is rootless"),
    ],
)
def test_an_engine_elsewhere(tmp_path: Path, parts: dict[str, Any], told: str) -> None:
    with engine(changed(**parts), tmp_path / "s") as url:
        assert told in refused(url, tmp_path)


def test_chaoskit_in_a_container_without_the_hosts_network(tmp_path: Path) -> None:
    # By the gateway's address, as for who may not look at the engine's process.
    answers = {**sound(), "/v1.41/networks/bridge": (200, {"IPAM": {"Config": [{"Subnet": "192.0.2.0/24"}]}})}
    with engine(answers) as url:
        message = refused(url, tmp_path)
    assert "chaoskit seems to be in a container" in message
    assert "--pid=host --network=host" in message


def test_the_engine_in_another_network_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["net:[1]", "net:[2]"])
    with engine(sound(), tmp_path / "s") as url:
        monkeypatch.setattr(os, "readlink", lambda path: next(names))
        assert "networks are not this machine's" in refused(url, tmp_path)


def test_chaoskit_in_a_container_without_the_hosts_processes(tmp_path: Path) -> None:
    answers = {
        **sound(),
        "/v1.41/containers/json": (200, [{"Id": "c" * 64}]),
        f"/v1.41/containers/{'c' * 64}/json": (200, {"State": {"Running": True, "Pid": 2**22 - 1}}),
    }
    with engine(answers, tmp_path / "s") as url:
        message = refused(url, tmp_path)
    assert "is not in this /proc" in message
    assert "--pid=host" in message


def test_the_engines_process_is_of_another_pid_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The kernel tells 0 for the pid of a peer that has none in our namespace.
    monkeypatch.setattr("struct.unpack", lambda form, data: (0, 0, 0))
    with engine(sound(), tmp_path / "s") as url:
        assert "chaoskit seems to be in a container itself" in refused(url, tmp_path)


def test_an_image_neither_local_nor_pullable(tmp_path: Path) -> None:
    answers = {**sound(), "/v1.41/distribution/shop%3A9/json": (500, {"message": "no such host"})}
    missing = system(shop=Service(name="shop", image="shop:9"), web=Service(name="web", image="web:1"))
    with engine(answers, tmp_path / "s") as url:
        message = refused(url, tmp_path, missing)
    assert "shop:9 (for service shop: no such host)" in message
    assert "docker pull shop:9" in message
    assert "docs/air-gapped.md" in message


def test_a_registry_that_does_not_answer(tmp_path: Path) -> None:
    names = [f"shop{n}" for n in range(6)]
    answers = {**sound(), **{f"/v1.41/distribution/{name}%3A9/json": (0, None) for name in names}}
    missing = system(**{name: Service(name=name, image=f"{name}:9") for name in names})
    with engine(answers, tmp_path / "s") as url:
        message = refused(url, tmp_path, missing)
    assert message.count("its registry did not answer within") == 6


def test_an_image_that_can_be_pulled_or_built_is_no_problem(tmp_path: Path) -> None:
    answers = {**sound(), "/v1.41/distribution/shop%3A9/json": (200, {})}
    both = system(
        shop=Service(name="shop", image="shop:9"), made=Service(name="made", image="made:1", build="./made")
    )
    with engine(answers, tmp_path / "s") as url:
        preflight(url, both, tmp_path)


def test_no_toxiproxy_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOSKIT_TOXIPROXY_IMAGE", "proxy:3")
    with engine(sound(), tmp_path / "s") as url:
        message = refused(url, tmp_path)
    assert "proxy:3 (for links: no such thing)" in message
    assert "scripts/set-up-docker makes it" in message


def test_not_root_and_no_agent_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with engine(sound(), tmp_path / "s") as url:
        message = refused(url, tmp_path)
    assert "debian:bookworm-slim (for the agent that does root's work" in message


@pytest.mark.parametrize(("full", "told"), [("engine", "engine's data /"), ("run", "run folders")])
def test_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str, told: str) -> None:
    class Disk:
        def __init__(self, path: Path) -> None:
            self.free = 10**6 if (str(path) == "/") == (full == "engine") else 10**12

    monkeypatch.setattr("shutil.disk_usage", Disk)
    with engine(sound(), tmp_path / "s") as url:
        message = refused(url, tmp_path)
    assert f"{told}" in message
    assert "GB are needed; free some" in message


def test_missing_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None if name == "iptables" else name)
    with engine(sound(), tmp_path / "s") as url:
        message = refused(url, tmp_path)
    assert "not installed here: iptables" in message
    assert "apt-get install iptables" in message


def test_control_groups_by_their_mounts() -> None:
    text = (
        "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 ro,nosuid 0 0\n"
        "/dev/vda / ext4 rw,relatime 0 0\n"
    )
    assert control_group_mounts(text) == {"/sys/fs/cgroup/memory": True, "/sys/fs/cgroup/unified": False}


@pytest.mark.parametrize(
    ("mounts", "told"),
    [({}, "control groups are not mounted"), ({"/sys/fs/cgroup": False}, "control groups are read-only")],
)
def test_wrong_control_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: dict[str, bool], told: str
) -> None:
    monkeypatch.setattr(module, "control_group_mounts", lambda text: mounts)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with engine(sound(), tmp_path / "s") as url:
        assert told in refused(url, tmp_path)


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_variable_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    with engine(sound(), tmp_path / "s") as url:
        message = refused(url, tmp_path)
        assert f"{name}=http://proxy.example:3128 is in the way" in message
        remedy = message.partition("NO_PROXY: ")[2]
        monkeypatch.setenv("NO_PROXY", remedy)
        preflight(url, system(), tmp_path)


@pytest.mark.parametrize(
    ("entries", "host", "is_spared"),
    [
        ("*", "ledger", True),
        ("localhost, ledger", "ledger", True),
        (".bank.example", "ledger.bank.example", True),
        ("172.16.0.0/12", "172.17.0.1", True),
        ("172.16.0.0/12", "10.0.0.1", False),
        ("ledger-db", "ledger", False),
        ("", "ledger", False),
    ],
)
def test_no_proxy(entries: str, host: str, is_spared: bool) -> None:
    assert proxies.spared({"NO_PROXY": entries}, host) is is_spared


def test_a_service_whose_proxy_catches_its_link() -> None:
    def told(**environment: str) -> list[str]:
        web = Service(name="web", environment=environment)
        both = system(web=web, ledger=Service(name="ledger"))
        return [found.what for found in proxies.findings({}, (), both)]

    proxy = "http://proxy.example:3128"
    (what,) = told(HTTP_PROXY=proxy, LEDGER_URL="http://ledger:8081/")
    assert "its calls of ledger" in what
    assert told(HTTP_PROXY=proxy, LEDGER_URL="http://ledger:8081/", NO_PROXY="ledger") == []
    assert told(HTTP_PROXY=proxy, DATABASE_URL="postgresql://user@ledger/db") == []
    assert told(LEDGER_URL="http://ledger:8081/") == []


@pytest.fixture
def quiet_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    """A doctor who looks at docker alone."""
    looks = "system python pidfd proc state scratch shared_memory slot addresses postgresql leftovers pytest"
    for name in looks.split():
        monkeypatch.setattr(doctor, f"_{name}", lambda: iter(()))


@pytest.mark.usefixtures("quiet_doctor")
def test_doctor_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    assert doctor.examine("docker") == 3
    out = capsys.readouterr().out
    assert f"problem  no Docker engine: there is no socket {tmp_path}/none\n" in out
    assert out.endswith("a drill could not run here on docker: 1 problem\n")
    assert doctor.examine() == 0
    out = capsys.readouterr().out
    assert "note     --runtime docker: no Docker engine" in out
    assert out.endswith("a drill can run here\n")


@pytest.mark.docker
def test_this_engine_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    found = list(module.findings(url, None, tmp_path))
    assert [str(each) for each in found if each.state == "problem"] == []
    assert any("Docker Engine" in each.what for each in found)
    assert any("images: " in each.what for each in found)
