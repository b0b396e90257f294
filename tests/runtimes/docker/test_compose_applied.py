"""The engine gets what a Compose file says, and what existed before a run stays as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from chaoskit.errors import InputError
from chaoskit.runtimes.docker.engine import engine_url
from tests.runtimes.docker.conftest import Provision, in_a_loop
from tests.runtimes.docker.systems import IMAGE, idle, plan_of, web
from tests.runtimes.docker.test_estate import inside, inspected

pytestmark = pytest.mark.docker

NASTY: dict[str, Any] = {
    "image": IMAGE,
    "entrypoint": "sleep",
    "command": ["infinity"],
    "init": True,
    "user": "1000:1000",
    "group_add": [2000],
    "working_dir": "/tmp",
    "hostname": "odd",
    "domainname": "example.org",
    "environment": {"A": "b=c $$d", "EMPTY": ""},
    "labels": ["traefik.enable=true"],
    "cap_drop": ["ALL"],
    "cap_add": ["NET_BIND_SERVICE"],
    "security_opt": ["no-new-privileges:true"],
    "read_only": True,
    "tmpfs": ["/run:mode=1777,size=1m"],
    "shm_size": "32mb",
    "sysctls": {"net.core.somaxconn": 512},
    "ulimits": {"nofile": {"soft": 1000, "hard": 2000}},
    "devices": ["/dev/fuse:/dev/ours:r"],
    "dns": "127.0.0.53",
    "dns_opt": ["ndots:1"],
    "dns_search": ["example.org"],
    "extra_hosts": ["elsewhere:10.9.8.7", "elsewhere=10.9.8.6"],
    "mem_limit": "64m",
    "mem_reservation": "32m",
    "cpus": 0.5,
    "cpu_shares": 512,
    "pids_limit": 50,
    "oom_score_adj": 100,
    "deploy": {"restart_policy": {"condition": "on-failure", "max_attempts": 3, "delay": "1s"}},
    "stop_signal": "SIGINT",
    "tty": True,
    "stdin_open": True,
    "ipc": "shareable",
    "secrets": [
        "plain",
        {"source": "owned", "target": "/etc/owned", "uid": "1000", "gid": "2000", "mode": "0400"},
    ],
    "configs": [{"source": "said", "target": "/etc/said"}],
    "volumes": [
        "data:/data",
        "./read:/read:ro",
        "./write:/write",
        "./missing:/missing",
        {"type": "tmpfs", "target": "/mem", "tmpfs": {"size": "1m"}},
        "/anonymous",
    ],
    "networks": {"one": {"aliases": ["known-as"]}, "two": None},
    "logging": {"driver": "syslog"},
    "ports": ["127.0.0.1:1:1"],
    "container_name": "bluntly",
    "expose": [9000],
    "healthcheck": {"test": ["CMD", "true"], "interval": "1s"},
}


@pytest.fixture
def kept() -> Iterator[str]:
    """An existing volume with data, by its name."""
    client = docker.DockerClient(base_url=engine_url())
    name = f"h-{os.getpid()}_data"
    client.volumes.create(name, labels={"chaoskit.test": "kept"})
    command = ["sh", "-c", "echo before > /v/file"]
    client.containers.run(IMAGE, command, volumes={name: {"bind": "/v"}}, remove=True, network_mode="none")
    try:
        yield name
    finally:
        client.volumes.get(name).remove()
        client.close()


def content(volume: str) -> str:
    """What stands in the existing volume."""
    client = docker.DockerClient(base_url=engine_url())
    try:
        command = ["cat", "/v/file"]
        return str(
            client.containers.run(
                IMAGE, command, volumes={volume: {"bind": "/v"}}, remove=True, network_mode="none"
            ),
            "utf-8",
        )
    finally:
        client.close()


@in_a_loop
async def test_the_engine_gets_what_the_file_says(tmp_path: Path, provision: Provision) -> None:
    files = tmp_path / "system"
    for name in ("read", "write"):
        (files / name).mkdir(parents=True)
        (files / name / "file").write_text("before")
        os.chown(files / name / "file", 1000, 1000)
    (files / "plain.txt").write_text("plain")
    top: dict[str, Any] = {
        "volumes": {"data": {"name": "data"}},
        "networks": {
            "one": None,
            "two": {"internal": True, "driver_opts": {"com.docker.network.bridge.name": "x0"}},
        },
        "secrets": {"plain": {"file": "./plain.txt"}, "owned": {"environment": "PATH"}},
        "configs": {"said": {"content": "word $$1"}},
    }
    services = {
        "front": web(networks=["one"]),
        "nasty": NASTY,
        "friend": idle(pid="service:nasty", volumes_from=["nasty:ro"]),
    }
    async with provision(plan_of(files, services, **top)) as estate:
        found = inspected(estate, "nasty")
        config, host = found["Config"], found["HostConfig"]
        assert (config["Entrypoint"], config["Cmd"]) == (["sleep"], ["infinity"])
        assert {"A=b=c $d", "EMPTY="} <= set(config["Env"])
        assert (config["User"], config["WorkingDir"], config["Hostname"]) == ("1000:1000", "/tmp", "odd")
        assert (config["Domainname"], config["StopSignal"]) == ("example.org", "SIGINT")
        assert (config["Tty"], config["OpenStdin"]) == (True, True)
        assert config["Labels"]["traefik.enable"] == "true"
        expected = {
            "GroupAdd": ["2000"], "CapDrop": ["ALL"], "CapAdd": ["NET_BIND_SERVICE"], "ReadonlyRootfs": True,
            "SecurityOpt": ["no-new-privileges:true"], "ShmSize": 32 << 20, "Dns": ["127.0.0.53"],
            "DnsOptions": ["ndots:1"], "DnsSearch": ["example.org"], "Memory": 64 << 20, "Init": True,
            "MemoryReservation": 32 << 20, "NanoCpus": 500_000_000, "CpuShares": 512, "PidsLimit": 50,
            "OomScoreAdj": 100, "IpcMode": "shareable", "Tmpfs": {"/run": "mode=1777,size=1m", "/mem": "size=1048576"},
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "PortBindings": {},
            "ExtraHosts": ["elsewhere:10.9.8.7", "elsewhere:10.9.8.6"], "Sysctls": {"net.core.somaxconn": "512"},
            "Ulimits": [{"Name": "nofile", "Soft": 1000, "Hard": 2000}],
            "Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/ours", "CgroupPermissions": "r"}],
        }  # fmt: skip
        assert {key: host[key] or {} if key == "PortBindings" else host[key] for key in expected} == expected
        assert host["LogConfig"]["Type"] == "json-file"
        networks = found["NetworkSettings"]["Networks"]
        assert len(networks) == 2
        for network in networks.values():
            assert {"nasty", "bluntly"} <= set(network["Aliases"])
        assert any("known-as" in network["Aliases"] for network in networks.values())

        shell = (
            "exec 2>&1; cat /read/file /write/file /run/secrets/plain /etc/owned /etc/said;"
            "ls -ld /missing /etc/owned /mem;"
            "echo after > /write/file; touch /read/x; true"
        )
        said = await inside(estate, "nasty", "sh", "-c", shell)
        assert said.startswith("beforebeforeplain" + os.environ["PATH"] + "word $1")
        assert "-r-------- 1 1000 2000" in said
        assert "Read-only file system" in said
        assert (files / "write" / "file").read_text() == "before"
        assert not (files / "missing").exists()
        assert "after" in await inside(estate, "friend", "cat", "/write/file")
        assert "sleep" in await inside(estate, "friend", "cat", "/proc/1/cmdline")


@in_a_loop
async def test_two_replicas_share_the_service_s_name(tmp_path: Path, provision: Provision) -> None:
    services = {
        "front": web(),
        "many": idle(deploy={"replicas": 2}, volumes=["shared:/shared"], container_name="x"),
    }
    async with provision(plan_of(tmp_path / "system", services, volumes={"shared": None})) as estate:
        assert len(estate.containers("many")) == 2
        found = await inside(estate, "front", "getent", "ahosts", "many")
        assert len({line.split()[0] for line in found.splitlines()}) == 2


@in_a_loop
async def test_what_existed_before_the_run_stays(tmp_path: Path, provision: Provision, kept: str) -> None:
    """A volume that `docker compose` made for a project of the same name; then the same, declared as external."""
    project, _, key = kept.partition("_")
    command = ["sh", "-c", "echo during >> /v/file; exec sleep infinity"]
    services = {"front": web(), "writer": idle(command=command, volumes=[f"{key}:/v"])}
    own = plan_of(tmp_path / "own", services, name=project, volumes={key: None})
    async with provision(own) as estate:
        assert await inside(estate, "writer", "cat", "/v/file") == "during\n"
    assert content(kept) == "before\n"

    named = plan_of(tmp_path / "named", services, name=project, volumes={key: {"name": kept}})
    async with provision(named) as estate:
        assert await inside(estate, "writer", "cat", "/v/file") == "during\n"
    assert content(kept) == "before\n"

    with pytest.raises(InputError, match=r"the volume `data` is external.*\n.*\n.*\n.*disposable: true"):
        plan_of(tmp_path / "external", services, volumes={key: {"external": True, "name": kept}})
    assert content(kept) == "before\n"


@in_a_loop
async def test_two_runs_of_one_file_at_once_never_meet(tmp_path: Path, provision: Provision) -> None:
    """Same container names, volumes, writable folder, network names and published ports."""
    shared = tmp_path / "system"
    (shared / "w").mkdir(parents=True)
    write = ["sh", "-c", "echo x >> /v/file; echo x >> /w/file; exec sleep infinity"]
    both = idle(
        command=write,
        volumes=["v:/v", "./w:/w"],
        container_name="only-one",
        ports=["127.0.0.1:18999:80"],
        healthcheck=NASTY["healthcheck"],
    )
    top: dict[str, Any] = {"volumes": {"v": {"name": "v"}}, "networks": {"default": {"name": "only-net"}}}
    plan = plan_of(shared, {"front": web(), "both": both}, **top)
    async with provision(plan) as one, provision(plan) as other:
        for estate in (one, other):
            assert await inside(estate, "both", "cat", "/v/file", "/w/file") == "x\nx\n"
    assert list((shared / "w").iterdir()) == []
