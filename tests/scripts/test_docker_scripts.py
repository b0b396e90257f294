"""scripts/set-up-docker and scripts/carry-images: safe to repeat, sane after a killed engine, exact about images."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.runtimes.docker.second_engine import add_bridge, flags_beside_another, remove_bridge, second_engine

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
TIMEOUT_S = 60
BASE = "base_image=debian:bookworm-slim"


def script(name: str, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(SCRIPTS, name, *words, **environment)


def run(scripts: Path, name: str, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """One of the scripts in a folder, with more environment."""
    return subprocess.run(
        [scripts / name, *map(str, words)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def listed() -> dict[str, list[str]]:
    """By image, the other columns of scripts/docker-images."""
    lines = [line.split() for line in (SCRIPTS / "docker-images").read_text().splitlines()]
    return {columns[0]: columns[1:] for columns in lines if columns and not columns[0].startswith("#")}


def test_without_an_engine_check_says_what_to_do(tmp_path: Path) -> None:
    done = script("set-up-docker", "check", DOCKER_HOST=f"unix://{tmp_path}/none")
    assert done.returncode == 3
    assert f"no Docker engine answers at unix://{tmp_path}/none" in done.stderr
    assert "make set-up-docker" in done.stderr
    assert "make test-local" in done.stderr
    assert script("set-up-docker", "answers", DOCKER_HOST=f"unix://{tmp_path}/none").returncode == 1


def test_an_engine_elsewhere_is_not_started() -> None:
    done = script("set-up-docker", "engine", DOCKER_HOST="tcp://127.0.0.1:1")
    assert done.returncode == 3
    assert "no engine answers at DOCKER_HOST=tcp://127.0.0.1:1" in done.stderr


def test_a_wrong_word_is_refused() -> None:
    done = script("set-up-docker", "chekc")
    assert done.returncode == 3
    assert "no such word: chekc; known: check, engine, answers, stop" in done.stderr


def test_every_image_that_a_fixture_builds_is_listed() -> None:
    images = listed()
    for path in sorted(ROOT.glob("fixtures/*/compose*.yaml")):
        services = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("services", {})
        for name, service in services.items():
            image = service.get("image", "")
            if "build" in service:
                assert image in images, f"{path}: service {name}: {image} is not in scripts/docker-images"
            elif image.startswith("debian-"):
                assert image in images, f"{path}: service {name}: nothing makes {image}"
    for image, (context, *inputs) in images.items():
        for each in inputs:
            assert (ROOT / context / each).exists(), f"scripts/docker-images: {image}: no {context}/{each}"


def test_an_image_is_built_again_exactly_when_its_inputs_have_changed(tmp_path: Path) -> None:
    made = tmp_path / "context"
    (made / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "requirements").mkdir()
    shutil.copy(SCRIPTS / "docker-lib.sh", tmp_path / "scripts")
    (tmp_path / "requirements" / "dev.txt").write_text("one==1\n")
    (made / "Dockerfile").write_text("FROM scratch\n")
    (made / "wheelhouse.sh").write_text("true\n")
    (made / "code" / "main.py").write_text("print(1)\n")

    def hashed() -> str:
        command = ". scripts/docker-lib.sh && inputs_hash context Dockerfile code wheelhouse.sh"
        done = subprocess.run(
            ["bash", "-euc", command], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    first = hashed()
    assert len(first) == 32
    (made / "code" / "README.md").write_text("words\n")
    (made / "code" / "__pycache__" / "main.pyc").write_bytes(b"cache")
    assert hashed() == first
    for path in ("Dockerfile", "code/main.py", "wheelhouse.sh", "../requirements/dev.txt"):
        before = hashed()
        with (made / path).open("a") as file:
            file.write("# more\n")
        assert hashed() != before, path


@pytest.fixture
def own_engine() -> Iterator[dict[str, str]]:
    """The environment of a script that starts an engine of its own; it is ended whatever the test does."""
    folder = Path(tempfile.mkdtemp(prefix="chaoskit-engine-", dir="/tmp"))
    bridge = f"ck{os.getpid()}s"
    add_bridge(bridge)
    environment = {
        "DOCKER_HOST": f"unix://{folder}/docker.sock",
        "CHAOSKIT_DOCKERD_ROOT": str(folder),
        "CHAOSKIT_DOCKERD_FLAGS": " ".join(flags_beside_another(bridge)),
    }
    try:
        yield environment
    finally:
        script("set-up-docker", "stop", **environment)
        remove_bridge(bridge)
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{folder}/"):
                subprocess.run(["umount", "--lazy", line.split()[1]], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.docker
def test_an_engine_is_started_once_and_anew_after_a_crash(own_engine: dict[str, str], tmp_path: Path) -> None:
    # Until a new process has become what it was made for it has another name; on a busy machine that takes a while.
    setsid = tmp_path / "setsid"
    setsid.write_text(
        f'#!/bin/sh\nprintf made >/proc/$$/comm\nsleep 0.5\nexec {shutil.which("setsid")} "$@"\n'
    )
    setsid.chmod(0o755)
    started = script("set-up-docker", "engine", PATH=f"{tmp_path}:{os.environ['PATH']}", **own_engine)
    assert started.returncode == 0, started.stderr
    assert "starting dockerd in its own session" in started.stdout
    assert script("set-up-docker", "engine", **own_engine).stdout == ""
    folder = Path(own_engine["CHAOSKIT_DOCKERD_ROOT"])
    os.kill(int((folder / "docker.pid").read_text()), signal.SIGKILL)
    # Its old number belongs to another living process by now, as after a reboot.
    wait_until_gone(int((folder / "docker.pid").read_text()))
    (folder / "docker.pid").write_text(str(os.getpid()))
    again = script("set-up-docker", "engine", **own_engine)
    assert again.returncode == 0, again.stderr
    assert script("set-up-docker", "answers", **own_engine).returncode == 0
    assert script("set-up-docker", "stop", **own_engine).returncode == 0
    assert script("set-up-docker", "answers", **own_engine).returncode == 1


@pytest.mark.docker
def test_stop_ends_no_engine_that_others_started() -> None:
    if script("set-up-docker", "answers").returncode != 0:
        pytest.fail("no Docker engine answers; make set-up-docker")
    with second_engine() as engine:
        folder = str(engine.folder)
        assert (
            script("set-up-docker", "stop", DOCKER_HOST=engine.url, CHAOSKIT_DOCKERD_ROOT=folder).returncode
            == 0
        )
        assert engine.answers()


@pytest.mark.docker
def test_images_are_carried_over_and_damage_is_noticed(tmp_path: Path) -> None:
    # The scripts of a checkout that needs Toxiproxy's image alone, which is quickly written.
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "docker-images").write_text("# none\n")
    library = (scripts / "docker-lib.sh").read_text()
    assert BASE in library
    (scripts / "docker-lib.sh").write_text(library.replace(BASE, "base_image=toxiproxy:2.12.0"))
    disk = tmp_path / "disk"
    saved = run(scripts, "carry-images", "save", disk)
    assert saved.returncode == 0, saved.stderr
    with second_engine() as engine:
        loaded = run(scripts, "carry-images", "load", disk, DOCKER_HOST=engine.url)
        assert loaded.returncode == 0, loaded.stderr
        assert "loaded 2 images, the very ones that were saved" in loaded.stdout
        checked = run(scripts, "set-up-docker", "check", DOCKER_HOST=engine.url)
        assert checked.returncode == 0, checked.stderr
        with (disk / "images.tar.gz").open("r+b") as file:
            file.seek(1000)
            file.write(b"damaged")
        again = run(scripts, "carry-images", "load", disk, DOCKER_HOST=engine.url)
        assert again.returncode == 3
        assert "was damaged on the way" in again.stderr


def wait_until_gone(pid: int) -> None:
    """A killed engine takes a moment to end."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state in "ZX":
            return
        time.sleep(0.02)
    pytest.fail(f"{pid} does not end")
