"""Compose to engine, without an engine: options, volumes plans, copies, secrets."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.system import System
from chaoskit.runtimes.docker import bind_copies
from chaoskit.runtimes.docker.bind_copies import lay_down
from chaoskit.runtimes.docker.translate import Context, container_options
from chaoskit.runtimes.docker.volumes_plan import VolumesPlan, plan_volumes
from chaoskit.spec.compose_file import load_compose

BARE = {"restart_policy", "log_config"}


def system(folder: Path, services: dict[str, Any], **top: Any) -> System:
    folder.mkdir(exist_ok=True)
    (folder / "compose.yaml").write_text(yaml.safe_dump({"services": services, **top}), "utf-8")
    found = load_compose(folder / "compose.yaml", (), {"TOKEN": "t0"})
    assert [str(one) for one in found.problems] == []
    return System.model_construct(services=found.services, compose_project=found.project, disposable=True)


def options(folder: Path, **service: Any) -> dict[str, Any]:
    made = system(folder, {"a": {"image": "x", **service}, "b": {"image": "x"}})
    plan = plan_volumes(made, "run", folder / "scratch")
    return container_options(made.services["a"], Context(plan.mounts["a"], {"b": "run-b"}, {"run": "1"}))


def test_what_the_file_does_not_say_is_left_to_the_engine(tmp_path: Path) -> None:
    found = options(tmp_path)
    assert set(found) == BARE
    assert found["restart_policy"] == {"Name": "no", "MaximumRetryCount": 0}


@pytest.mark.parametrize(
    ("said", "given"),
    [
        ({"command": "a 'b c'"}, {"command": ["a", "b c"]}),
        ({"entrypoint": []}, {"entrypoint": []}),
        ({"entrypoint": ""}, {"entrypoint": []}),
        ({"restart": "on-failure:5"}, {"restart_policy": {"Name": "on-failure", "MaximumRetryCount": 5}}),
        ({"restart": False}, {"restart_policy": {"Name": "no", "MaximumRetryCount": 0}}),
        ({"cpus": "1.5"}, {"nano_cpus": 1_500_000_000}),
        ({"cpu_rt_runtime": "400ms", "cpu_rt_period": 1400}, {"cpu_rt_runtime": 400_000, "cpu_rt_period": 1400}),
        ({"memswap_limit": -1, "mem_limit": "1.5gb"}, {"memswap_limit": -1, "mem_limit": 3 << 29}),
        ({"init": False}, {"init": False}),
        ({"pid": "service:b"}, {"pid_mode": "container:run-b"}),
        ({"network_mode": "service:b"}, {"network_mode": "container:run-b"}),
        ({"network_mode": "none"}, {"network_mode": "none"}),
        ({"volumes_from": ["b:ro"]}, {"volumes_from": ["run-b:ro"]}),
        ({"privileged": "yes"}, {"privileged": True}),
        ({"devices": ["/dev/a", "/dev/b:rw"]}, {"devices": ["/dev/a:/dev/a:rwm", "/dev/b:/dev/b:rw"]}),
        ({"tmpfs": "/t", "environment": ["A=1"]}, {"tmpfs": {"/t": ""}, "environment": {"A": "1"}}),
        (
            {"blkio_config": {"weight": 300, "device_read_bps": [{"path": "/dev/x", "rate": "1mb"}]}},
            {"blkio_weight": 300, "device_read_bps": [{"Path": "/dev/x", "Rate": 1 << 20}]},
        ),
        (
            {"deploy": {"resources": {"limits": {"cpus": "0.5", "memory": "1g", "pids": 9}}}},
            {"nano_cpus": 500_000_000, "mem_limit": 1 << 30, "pids_limit": 9},
        ),
        ({"ulimits": {"nproc": 7}}, {"ulimits": [{"Name": "nproc", "Soft": 7, "Hard": 7}]}),
        ({"sysctls": {"a.b": 1}, "uts": "host"}, {"sysctls": {"a.b": "1"}, "uts_mode": "host"}),
        ({"volumes": ["./z:/z:ro,z"]}, {"volumes": ["{scratch}/binds/0/z:/z:z,ro"]}),
    ],
)  # fmt: skip
def test_options(tmp_path: Path, said: dict[str, Any], given: dict[str, Any]) -> None:
    found = options(tmp_path, **said)
    if "volumes" in given:
        given = {"volumes": [one.format(scratch=tmp_path / "scratch") for one in given["volumes"]]}
    assert {key: one for key, one in found.items() if key not in BARE or key in given} == {
        **given,
        **{key: found[key] for key in given if key in BARE and key not in given},
    }


def test_volumes_are_the_run_s_and_what_is_shared_stays_shared(tmp_path: Path) -> None:
    for name in ("www", "www/inner", "conf", "other"):
        (tmp_path / name).mkdir()
    services = {
        "writer": {"image": "x", "volumes": ["./www/inner:/w", "data:/data", "/anonymous"]},
        "reader": {"image": "x", "volumes": ["./www:/r:ro", "./conf:/c:ro", "old:/old", "data:/d:ro"]},
    }
    made = system(tmp_path, services, volumes={"data": None, "old": {"external": True, "name": "kept"}})
    plan = plan_volumes(made, "run", tmp_path / "scratch")
    copy = tmp_path / "scratch" / "binds" / "0" / "www"
    assert set(plan.volumes) == {"run-data"}
    assert plan.external == ("kept",)
    assert plan.copies == {str(tmp_path / "www"): copy}
    sources = {name: [one.source for one in placed] for name, placed in plan.mounts.items()}
    assert sources == {
        "writer": [str(copy / "inner"), "run-data", None],
        "reader": [str(copy), str(tmp_path / "conf"), "kept", "run-data"],
    }
    found = container_options(made.services["writer"], Context(plan.mounts["writer"], {}, {"run": "1"}))
    assert found["mounts"][2]["VolumeOptions"] == {"Labels": {"run": "1"}}
    assert found["mounts"][0]["Type"] == "bind"


def test_copies_keep_owners_links_and_modes_and_leave_the_original(tmp_path: Path) -> None:
    source = tmp_path / "w"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "file").write_text("before")
    (source / "inner" / "file").chmod(0o640)
    os.chown(source / "inner" / "file", 1234, 2345)
    (source / "link").symlink_to("inner/file")
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
    scratch = source / "runs" / "scratch"  # the run's own folder within what is copied
    scratch.mkdir(parents=True)
    made = system(
        tmp_path, {"a": {"image": "x", "volumes": ["./w:/w", "./w/inner/file:/f", "./gone/deep:/gone"]}}
    )
    plan = plan_volumes(made, "run", scratch)
    lay_down(plan)
    one, file, gone = (Path(placed.source or "") for placed in plan.mounts["a"])
    assert sorted(path.name for path in one.iterdir()) == ["inner", "link", "pipe", "runs"]
    assert file == one / "inner" / "file"
    found = file.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 2345, 0o640)
    file.write_text("after")
    assert (source / "inner" / "file").read_text() == "before"
    assert gone.is_dir()
    assert not (tmp_path / "gone").exists()
    assert list((one / "runs").iterdir()) == []


def test_a_bind_too_large_to_be_copied_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "big").write_bytes(b"x" * 2000)
    made = system(tmp_path, {"a": {"image": "x", "volumes": ["./w:/w"]}})
    monkeypatch.setattr(bind_copies, "BYTES_MAX", 1000)
    (tmp_path / "scratch").mkdir()
    with pytest.raises(EnvironmentBroken, match=r"/w holds more .*read-only"):
        lay_down(plan_volumes(made, "run", tmp_path / "scratch"))


def test_secrets_and_configs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from file")
    uses = ["plain", {"source": "file", "target": "t", "uid": "1000", "mode": "0400"}, "variable"]
    made = system(
        tmp_path,
        {"a": {"image": "x", "secrets": uses, "configs": ["text"]}},
        secrets={
            "plain": {"file": "./file"},
            "file": {"file": "./file"},
            "variable": {"environment": "TOKEN"},
        },
        configs={"text": {"content": "said"}},
    )
    plan: VolumesPlan = plan_volumes(made, "run", tmp_path / "scratch")
    lay_down(plan)
    placed = {one.mount.target: Path(one.source or "") for one in plan.mounts["a"]}
    assert placed["/run/secrets/plain"] == tmp_path / "file"
    found = placed["/run/secrets/t"].stat()
    assert (found.st_uid, found.st_mode & 0o777) == (1000, 0o400)
    assert placed["/run/secrets/variable"].read_text() == "t0"
    assert placed["/text"].read_text() == "said"
    assert all(one.mount.read_only for one in plan.mounts["a"])
