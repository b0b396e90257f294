"""What the real engine makes hard to remove: containers that revive, are paused or stopped, networks others are on."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaoskit.runtimes.docker import scratch
from chaoskit.runtimes.docker.engine_socket import EngineRefused, EngineSocket, engine_url
from chaoskit.runtimes.docker.janitor_record import records
from chaoskit.runtimes.docker.ownership import Owner
from chaoskit.runtimes.docker.removal import Found, labelled, remove, remove_all

pytestmark = pytest.mark.docker

IMAGE = "debian:bookworm-slim"


class Bench:
    """Objects on the engine, each with a name nobody else has."""

    def __init__(self) -> None:
        self.engine = EngineSocket(engine_url())
        self.prefix = f"chaoskit-test-{secrets.token_hex(4)}"
        self.made: list[Found] = []

    def container(self, name: str, labels: dict[str, str], **host: Any) -> str:
        """A running one that sleeps."""
        body = {
            "Image": IMAGE,
            "Cmd": ["sleep", "600"],
            "Labels": labels,
            "Volumes": {"/anonymous": {}},
            "HostConfig": {"NetworkMode": "none", **host},
        }
        identity: str = self.engine.call(
            "POST", "/containers/create", {"name": f"{self.prefix}-{name}"}, body
        )["Id"]
        self.made.append(Found("container", identity, name))
        self.engine.call("POST", f"/containers/{identity}/start")
        return identity

    def volume(self, name: str, labels: dict[str, str]) -> str:
        whole = f"{self.prefix}-{name}"
        self.engine.call("POST", "/volumes/create", body={"Name": whole, "Labels": labels})
        self.made.append(Found("volume", whole, name))
        return whole

    def network(self, name: str, labels: dict[str, str]) -> str:
        whole = f"{self.prefix}-{name}"
        body = {"Name": whole, "Labels": labels, "CheckDuplicate": True}
        self.made.append(
            Found("network", self.engine.call("POST", "/networks/create", body=body)["Id"], name)
        )
        return whole

    def look(self, identity: str) -> Any:
        return self.engine.call("GET", f"/containers/{identity}/json")

    def is_there(self, kind: str, identity: str) -> bool:
        try:
            self.engine.call("GET", f"/{kind}/{identity}")
        except EngineRefused as error:
            if error.status != 404:
                raise
            return False
        return True

    def anonymous(self, identity: str) -> list[str]:
        return [
            mount["Name"] for mount in self.look(identity)["Mounts"] if mount["Destination"] == "/anonymous"
        ]


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    remove(one.engine, one.made)


def test_whatever_state_it_is_in_it_goes_and_nothing_else_does(bench: Bench) -> None:
    owner = Owner.this(bench.prefix, "/nowhere/runs/x")  # a dead one's objects would fall to any run's sweep
    mine, bystanders = owner.labels, {"chaoskit-test": bench.prefix}
    network = bench.network("net", mine)
    data = bench.volume("data", mine)
    before = bench.volume("before", bystanders)  # a run's container uses what was there before it
    reviving = bench.container("reviving", mine, RestartPolicy={"Name": "always"}, Binds=[f"{data}:/data"])
    paused = bench.container("paused", mine, Binds=[f"{before}:/before"])
    stopped = bench.container("stopped", mine, NetworkMode=network)
    other = bench.container("other", bystanders, NetworkMode=network)
    bench.engine.call("POST", f"/containers/{paused}/pause")
    os.kill(bench.look(stopped)["State"]["Pid"], signal.SIGSTOP)
    os.kill(bench.look(reviving)["State"]["Pid"], signal.SIGKILL)
    anonymous = [name for one in (reviving, paused, stopped) for name in bench.anonymous(one)]
    assert len(anonymous) == 3

    left = remove_all(
        bench.engine, lambda: labelled(bench.engine, owner.selector), quiet_s=0.0, within_s=60.0
    )

    assert left == []
    assert labelled(bench.engine, owner.selector) == []
    assert not [name for name in (*anonymous, data) if bench.is_there("volumes", name)]
    assert bench.is_there("volumes", before)
    assert bench.look(other)["State"]["Running"]


def test_what_containers_wrote_as_root_goes_though_nobody_here_is_root(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner.this(bench.prefix, "/nowhere/runs/x")
    folder = tmp_path / "scratch"
    (folder / "binds" / "deep").mkdir(parents=True)
    (folder / "binds" / "deep" / "file").write_text("of root")
    monkeypatch.setattr(scratch.shutil, "rmtree", lambda *_, **__: None)  # as for who may not
    assert scratch.remove_scratch(bench.engine, folder, owner.labels) == []
    assert not folder.exists()
    assert labelled(bench.engine, owner.selector) == []
    folder.mkdir()
    (folder / "file").write_text("of root")
    monkeypatch.setattr(scratch, "IMAGE", "no-such-image:chaoskit")
    (left,) = scratch.remove_scratch(bench.engine, folder, owner.labels)
    assert "no-such-image" in left
    assert "as root" in left


def test_a_conductor_killed_on_the_real_engine(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its objects are made over the engine's socket, each kind once, and more asked for while it is killed."""
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(tmp_path / "state"))
    run = tmp_path / "state" / "runs" / bench.prefix
    run.mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-c", _CONDUCTOR, engine_url(), str(run), str(tmp_path / "folder"), IMAGE],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "made\n"
        (record,) = records()
        assert len(labelled(bench.engine, record.owner.selector)) >= 3
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    end = time.monotonic() + 30
    while records() and time.monotonic() < end:
        time.sleep(0.05)
    assert records() == []
    assert labelled(bench.engine, record.owner.selector) == []


_CONDUCTOR = """
import asyncio, sys
from pathlib import Path
from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.janitor import Janitor
from chaoskit.runtimes.docker.ownership import Owner

async def main(url, state, folder, image):
    owner = Owner.this(Path(state).name, state)
    await Janitor.start(owner, url, Path(folder))
    engine = EngineSocket(url)
    engine.call("POST", "/networks/create", body={"Name": owner.run + "-net", "Labels": owner.labels})
    engine.call("POST", "/volumes/create", body={"Name": owner.run + "-data", "Labels": owner.labels})
    body = {"Image": image, "Cmd": ["sleep", "600"], "Labels": owner.labels, "HostConfig": {"NetworkMode": "none"}}
    for number in range(1000):
        made = engine.call("POST", "/containers/create", {"name": f"{owner.run}-{number}"}, body)
        engine.call("POST", f"/containers/{made['Id']}/start")
        if number == 0:
            print("made", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""
