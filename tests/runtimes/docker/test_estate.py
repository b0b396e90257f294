"""Systems on the real engine: they come up in order, are what the Compose file says, and go without a trace."""

from __future__ import annotations

import asyncio
import os
import signal
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import docker
import pytest

from chaoskit.errors import EnvironmentBroken, ServiceDown
from chaoskit.model.estate import Address
from chaoskit.model.lease import MirrorUndo, ProcessRef, Undo
from chaoskit.probes.tcp import TcpProbe
from chaoskit.runtimes.docker import health, lifecycle
from chaoskit.runtimes.docker.engine import engine_url
from chaoskit.runtimes.docker.estate import DockerEstate
from tests.runtimes.docker.conftest import Provision, eventually, in_a_loop
from tests.runtimes.docker.systems import idle, plan_of, web

pytestmark = pytest.mark.docker


async def get(address: Address) -> int:
    """The status of one HTTP answer; OSError as the network has it."""
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: it\r\n\r\n")
            words = (await reader.readline()).split()
        finally:
            writer.close()
    if len(words) < 2:
        raise ConnectionResetError("accepted, then closed")
    return int(words[1])


async def answers(address: Address) -> bool:
    try:
        return await get(address) == 200
    except OSError:
        return False


def inspected(estate: DockerEstate, service: str) -> dict[str, Any]:
    client = docker.DockerClient(base_url=engine_url())
    try:
        return dict(client.api.inspect_container(estate.containers(service)[0].id))
    finally:
        client.close()


async def inside(estate: DockerEstate, service: str, *argv: str) -> str:
    """What a command in the service's container prints."""

    def run() -> str:
        client = docker.DockerClient(base_url=engine_url())
        try:
            code, output = client.containers.get(estate.containers(service)[0].id).exec_run(list(argv))
        finally:
            client.close()
        assert code == 0, output
        return cast(bytes, output).decode()

    return await asyncio.to_thread(run)


@in_a_loop
async def test_two_runs_of_one_file_at_once_never_meet(tmp_path: Path, provision: Provision) -> None:
    services = {
        "front": web(behind="back", container_name="the-front", depends_on=["back"]),
        "back": web(volumes=["./serve.pl:/serve.pl:ro", "kept:/kept"]),
    }
    plan = plan_of(tmp_path / "one", services, ["front -> back"], volumes={"kept": {}})
    async with provision(plan) as one, provision(plan) as other:
        for estate in (one, other):
            assert await get(estate.links.address("customers -> front")) == 200
            assert estate.direct("back").port == 8080
        assert one.direct("back") != other.direct("back")
        await inside(one, "back", "touch", "/kept/mine")
        assert await inside(other, "back", "ls", "/kept") == ""
        await one.processes.kill("back")
        await eventually(lambda: one.replicas["back"][0].ended.is_set())
        assert await get(one.links.address("customers -> front")) == 503
        assert await get(other.links.address("customers -> front")) == 200


@in_a_loop
async def test_a_crash_is_an_exit_and_a_restart_brings_the_links_back(
    tmp_path: Path, provision: Provision
) -> None:
    services = {"front": web(behind="back"), "back": web()}
    async with provision(plan_of(tmp_path / "it", services, ["front -> back"])) as estate:
        link = estate.links.address("customers -> front")
        pid = estate.containers("back")[0].pid
        os.kill(pid, signal.SIGKILL)  # nobody's fault: a crash
        await eventually(lambda: estate.replicas["back"][0].ended.is_set())
        await eventually(lambda: _has_exits(estate))
        (crash,) = await estate.exits()
        assert (crash.service, crash.status) == ("back", "killed by SIGKILL")
        assert await get(link) == 503
        await estate.lifecycle.start("back")
        await eventually(lambda: answers(link))
        with pytest.raises(EnvironmentBroken, match="running already"):
            await estate.lifecycle.start("back")
        await estate.lifecycle.stop("back")
        await estate.undo(Undo(steps=(MirrorUndo(service="back"),)))  # it does not listen: nothing comes back
        assert await get(link) == 503
        assert len(await estate.exits()) == 1, "what was asked for is no crash"


@in_a_loop
async def test_a_killed_service_is_revived_by_its_restart_policy(
    tmp_path: Path, provision: Provision
) -> None:
    services = {"front": web(behind="back"), "back": web(restart="always")}
    async with provision(plan_of(tmp_path / "it", services, ["front -> back"])) as estate:
        before = await estate.processes.tree("back")
        await estate.processes.kill("back")
        await eventually(lambda: _anew(estate, before))
        await eventually(lambda: answers(estate.links.address("customers -> front")))
        assert await estate.exits() == ()
        await estate.lifecycle.start("back")  # it runs already, by its own policy's doing
        await estate.processes.kill("back", revive=False)
        await eventually(lambda: estate.replicas["back"][0].ended.is_set())
        await estate.lifecycle.start("back")
        assert inspected(estate, "back")["HostConfig"]["RestartPolicy"]["Name"] == "always"


async def _has_exits(estate: DockerEstate) -> bool:
    return bool(await estate.exits())


async def _anew(estate: DockerEstate, before: tuple[ProcessRef, ...]) -> bool:
    now = await estate.processes.tree("back")
    return bool(now) and not set(now) & set(before)


@in_a_loop
async def test_services_wait_for_what_they_depend_on(tmp_path: Path, provision: Provision) -> None:
    services = {
        "app": web(depends_on={"migration": {"condition": "service_completed_successfully"}}),
        "migration": {
            "image": "debian:bookworm-slim",
            "command": ["sh", "-c", "sleep 0.3; echo done > /shared/done"],
            "volumes": ["shared:/shared"],
            "depends_on": {"app2": {"condition": "service_healthy"}},
        },
        "app2": web(),
        "job": idle(command=["true"]),
    }
    async with provision(plan_of(tmp_path / "it", services, volumes={"shared": {}})) as estate:
        began = {
            name: (
                inspected(estate, name)["State"]["StartedAt"],
                inspected(estate, name)["State"]["FinishedAt"],
            )
            for name in services
        }
        assert began["app2"][0] < began["migration"][0] < began["migration"][1] < began["app"][0]
        assert await estate.exits() == (), "a task, or a job, that ended well has not crashed"


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (idle(command=["sh", "-c", "echo out of ink; exit 3"]), ["app ended (exit status 3)", "out of ink"]),
        (
            web(
                healthcheck={
                    "test": ["CMD", "sh", "-c", "echo fever; exit 1"],
                    "interval": "50ms",
                    "retries": 2,
                }
            ),
            ["app is unhealthy", "fever", "exit status 1"],
        ),
        (idle(command=["no-such-program"]), ["app", "no-such-program"]),
    ],
    ids=["ends", "unhealthy", "no program"],
)
@in_a_loop
async def test_what_does_not_come_up_says_why_and_leaves_nothing(
    tmp_path: Path,
    provision: Provision,
    monkeypatch: pytest.MonkeyPatch,
    service: dict[str, Any],
    words: list[str],
) -> None:
    monkeypatch.setattr(health, "LEAST_S", 1.0)
    service.setdefault("expose", ["8080"])
    with pytest.raises(EnvironmentBroken) as told:
        async with provision(plan_of(tmp_path / "it", {"app": service})):
            pass
    for word in words:
        assert word in str(told.value)


@in_a_loop
async def test_replicas_share_a_name_and_one_death_is_not_the_services(
    tmp_path: Path, provision: Provision
) -> None:
    services = {"front": web(behind="back"), "back": web(deploy={"replicas": 2})}
    async with provision(plan_of(tmp_path / "it", services, ["front -> back"])) as estate:
        assert len(estate.containers("back")) == 2
        link = estate.links.address("customers -> front")
        assert await get(link) == 200
        os.kill(estate.containers("back")[0].pid, signal.SIGKILL)
        await eventually(lambda: estate.replicas["back"][0].ended.is_set())
        await eventually(lambda: answers(link))
        assert await answers(estate.direct("back")), "direct is a replica that runs"


@in_a_loop
async def test_nobody_answers_for_a_service_that_is_down(tmp_path: Path, provision: Provision) -> None:
    """The engine gives the lowest free address to the next container that starts."""
    services = {"one": web(restart="always"), "other": web(restart="always")}
    async with provision(plan_of(tmp_path / "it", services)) as estate:
        down, up = sorted(services, key=lambda name: ip_address(estate.direct(name).host))
        was, pid = estate.direct(down), estate.containers(up)[0].pid
        await estate.processes.kill(down, revive=False)
        await eventually(estate.replicas[down][0].ended.is_set)
        await estate.processes.kill(up)
        await eventually(lambda: estate.containers(up)[0].pid not in (0, pid))
        await eventually(estate.replicas[up][0].listening.is_set)
        assert await answers(was)
        assert estate.direct(up) == was
        for error in (ServiceDown, ConnectionRefusedError, EnvironmentBroken):
            with pytest.raises(error, match=f"{down} is down"):
                estate.direct(down)
        assert (await TcpProbe().look(up, estate, 1.0)).ok
        with pytest.raises(OSError, match=f"{down} is down"):
            await TcpProbe().look(down, estate, 1.0)
        await estate.lifecycle.start(down)
        assert await answers(estate.direct(down))
        assert estate.direct(down) != estate.direct(up)


@in_a_loop
async def test_an_image_is_built_where_it_is_missing(tmp_path: Path, provision: Provision) -> None:
    name = f"chaoskit-test-built-{tmp_path.name}".lower().replace("_", "-")
    context = tmp_path / "it" / "context"
    context.mkdir(parents=True)
    # Without RUN: the engine's default bridge is somebody else's.
    (context / "word").write_text("built\n")
    (context / "Dockerfile").write_text("FROM debian:bookworm-slim\nARG PLACE\nCOPY word $PLACE\n")
    services = {"app": web(image=name, build={"context": "context", "args": {"PLACE": "/word"}})}
    client = docker.DockerClient(base_url=engine_url())
    try:
        async with provision(plan_of(tmp_path / "it", services)) as estate:
            assert await inside(estate, "app", "cat", "/word") == "built\n"
        (context / "Dockerfile").write_text("FROM debian:bookworm-slim\nCOPY paper /paper\n")
        services["app"]["image"] = f"{name}-2"
        with pytest.raises(EnvironmentBroken, match=r"(?s)app: its image .* cannot be built.*paper"):
            async with provision(plan_of(tmp_path / "it", services)):
                pass
        services["app"]["image"] = f"{name}-3"
        services["app"]["build"]["context"] = "nowhere"
        with pytest.raises(
            EnvironmentBroken, match=r"app: its image .* there is no folder /.*/nowhere; correct"
        ):
            async with provision(plan_of(tmp_path / "it", services)):
                pass
    finally:
        for image in client.images.list(name):
            client.images.remove(str(image.id), force=True)
        client.close()


@in_a_loop
async def test_a_mistaken_port_is_told_beside_the_right_one(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "START_S", 3.0)
    services = {"app": web(expose=["8081"], healthcheck={"disable": True})}
    said = r"app was not ready within 3 s; nothing listens on its port 8081, but on 0\.0\.0\.0:8080;"
    with pytest.raises(EnvironmentBroken, match=said):
        async with provision(plan_of(tmp_path / "it", services)):
            pass


@in_a_loop
async def test_a_service_that_nobody_calls_need_not_listen_on_its_port(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "START_S", 5.0)
    worker = web(expose=["8081"], healthcheck={"disable": True})
    waits = {"depends_on": {"worker": {"condition": "service_started"}}}
    async with provision(plan_of(tmp_path / "it", {"app": web(**waits), "worker": worker})) as estate:
        assert estate.containers("worker")


@in_a_loop
async def test_everything_is_removed_though_its_links_cannot_be_ended(
    tmp_path: Path, provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end_badly() -> None:
        async with provision(plan_of(tmp_path / "it", {"app": web()})) as estate:
            stop = estate.links.stop

            async def stop_badly() -> None:
                await stop()
                raise RuntimeError("no way")

            monkeypatch.setattr(estate.links, "stop", stop_badly)

    with pytest.raises(EnvironmentBroken, match="RuntimeError: no way"):
        await end_badly()  # that nothing is left, `provision` asserts


@in_a_loop
async def test_interrupted_while_it_comes_up(tmp_path: Path, provision: Provision) -> None:
    services = {"app": web(healthcheck={"test": ["CMD", "false"], "interval": "1s", "retries": 100})}

    async def come_up() -> None:
        async with provision(plan_of(tmp_path / "it", services)):
            raise AssertionError("it never becomes healthy")

    work = asyncio.create_task(come_up())
    client = docker.DockerClient(base_url=engine_url())
    try:
        await eventually(lambda: _runs(client, "app", tmp_path))
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    finally:
        client.close()


def _runs(client: docker.DockerClient, service: str, tmp_path: Path) -> bool:
    state = f"chaoskit.state={tmp_path}/state"
    found = client.api.containers(filters={"label": [f"chaoskit.service={service}"]})
    return any(one["Labels"]["chaoskit.state"].startswith(state.partition("=")[2]) for one in found)
