"""Limits, disks, networks and clocks of real containers, through the faults that use them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaoskit import registry
from chaoskit.clock import monotonic_ns
from chaoskit.engines.wall_clock import read_clock
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.lease import Lease, MeansUndo, NothingToUndo, Undo
from chaoskit.model.means import Written
from chaoskit.model.member import Fault, Witness
from chaoskit.model.parameters import build
from chaoskit.model.preparation import ClockPreparation, DiskPreparation, Preparation
from chaoskit.model.system import Link, LocalService, Service, System
from chaoskit.runtimes.docker.disks import make_disk
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.means import CAPABILITIES, DockerMeans
from chaoskit.runtimes.docker.partition import Surroundings
from chaoskit.runtimes.docker.preparations import Preparations
from chaoskit.runtimes.docker.processes import Container, DockerProcesses

pytestmark = pytest.mark.docker

PORT = 8000
DISK = "/srv/data"
SERVER = (
    "import http.server as h; h.test(h.SimpleHTTPRequestHandler, h.ThreadingHTTPServer, 'HTTP/1.1', 8000)"
)
NAMES = ("web", "front", "aside")


def system() -> System:
    """web is called by front over a link; aside knows it without one."""
    return System(
        system="means",
        compose="compose.yaml",
        folder="/",
        services={name: Service(name=name) for name in NAMES},
        roles={},
        links=(Link.parse("front -> web"),),
        journeys={},
        local={name: LocalService(run="web", ready="/") for name in NAMES},
    )


class Pen:
    """Three containers and what may be done to them; an Estate as far as these faults look."""

    capabilities = CAPABILITIES | {"processes"}
    run = "pen"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan: Any = SimpleNamespace(system=system())
        self.engine = Engine()
        self.mark = {"chaoskit.test": secrets.token_hex(6)}
        self.prefix = f"chaoskit-test-means-{self.mark['chaoskit.test']}"
        self.ids: dict[str, str] = {}

    async def open(self) -> None:
        wanted: list[Preparation] = [
            DiskPreparation(service="web", path=DISK, size=32 << 20),
            ClockPreparation(service="web"),
        ]
        self.made = await Preparations.make(wanted, self.engine, self.prefix, self.mark, self.folder)
        api = self.engine.client
        api.networks.create(self.prefix, labels=self.mark)
        for name in NAMES:
            options = {
                "environment": {"A": "b"},
                "volumes": {self.prefix: {"bind": DISK}},
                "tmpfs": {"/x": ""},
            }
            container = api.containers.run(
                "bank:1.0",
                ["python3", "-u", "-c", SERVER],
                name=f"{self.prefix}-{name}",
                labels=self.mark,
                network=self.prefix,
                detach=True,
                restart_policy={"Name": "always"},
                working_dir="/tmp",
                **(self.made.apply("web", options) if name == "web" else {}),
            )
            self.ids[name] = str(container.id)
        self.processes = DockerProcesses(Hand(self.engine, self.mark), self.containers)
        around = Surroundings(
            addresses=lambda name: [self.direct(name).host],
            link=lambda caller, callee: None,
            direct=self.direct,
            callees=lambda name: ["web"] if name == "front" else [],
            callers=lambda name: ["front"] if name == "web" else [],
        )
        hand = Hand(self.engine, self.mark)
        self.means = DockerMeans(self.engine, hand, self.processes, around, self.made)
        self.limits, self.disks = self.means.limits, self.means.disks
        self.networks, self.clocks = self.means.networks, self.means.clocks
        for name in NAMES:
            await self.until(lambda name=name: self.answers(name))  # type: ignore[misc]
            assert await self.processes.tree(name)
        assert not self.disks.used("web", DISK)
        (self.disk / "passing").write_text("x")
        assert self.disks.used("web", DISK)
        (self.disk / "passing").unlink()
        assert self.disks.used("web", DISK)

    async def until(self, true: Callable[[], bool], within_s: float = 20.0) -> None:
        deadline = monotonic_ns() + within_s * 1e9
        while not await asyncio.to_thread(true):
            assert monotonic_ns() < deadline
            await asyncio.sleep(0.02)

    @property
    def disk(self) -> Path:
        return Path(f"/proc/{self.containers('web')[0].pid}/root{DISK}")

    def containers(self, service: str) -> list[Container]:
        found = self.engine.client.api.inspect_container(self.ids[service])
        return [Container(self.ids[service], int(found["State"]["Pid"]))]

    def direct(self, service: str) -> Address:
        found = self.engine.client.api.inspect_container(self.ids[service])
        return Address(found["NetworkSettings"]["Networks"][self.prefix]["IPAddress"], PORT)

    def answers(self, service: str) -> bool:
        connection = http.client.HTTPConnection(self.direct(service).host, PORT, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    async def undo(self, undo: Undo) -> None:
        for step in undo.steps:
            if isinstance(step, NothingToUndo):  # what it says stays as it is
                continue
            assert isinstance(step, MeansUndo)
            await self.means.undo(step)

    def close(self) -> None:
        self.made.close()
        api = self.engine.client
        label = [f"chaoskit.test={self.mark['chaoskit.test']}"]
        for container in api.containers.list(all=True, filters={"label": label}):
            container.remove(force=True, v=True)
        for network in api.networks.list(filters={"label": label}):
            network.remove()
        for volume in api.volumes.list(filters={"label": label}):
            volume.remove()
        self.engine.close()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


@pytest.fixture(scope="module")
def pen(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pen]:
    one = Pen(tmp_path_factory.mktemp("pen"))
    try:
        runner.run(one.open())
        yield one
        runner.run(_close(one))
    finally:
        one.close()


async def _close(one: Pen) -> None:
    one.means.close()


Case = tuple[str, dict[str, Any]]
CASES: list[Case] = [
    ("resource.cpu", {"cpus": 0.05}),
    ("disk.full", {"path": DISK, "size": "32MiB"}),
    ("disk.full", {"path": DISK, "size": "32MiB", "leave": "1MB"}),
    ("disk.slow", {"path": DISK, "size": "32MiB", "rate": "64KB"}),
    ("network.partition", {}),
    ("network.partition", {"from": ["front", "aside"]}),
    ("clock.skew", {"ahead": "25h"}),
    ("clock.skew", {"behind": "90s"}),
]


def named(case: Case) -> str:
    return "-".join([case[0], *(key for key in case[1])])


def make(case: Case) -> Fault:
    fault: Fault = build(registry.member("faults", case[0]), case[1])
    return fault


async def only_look(case: Case, estate: Any) -> Witness:
    fault = make(case)
    return await fault.witness("web", estate, await fault.baseline("web", estate))


async def inflict(case: Case, estate: Any) -> tuple[Lease, Witness, int]:
    fault = make(case)
    baseline = await fault.baseline("web", estate)
    undo = await fault.undo("web", estate)
    lease = Lease(id="1", run="r", step="s", target="web", undo=undo)
    begun = monotonic_ns()
    await fault.apply("web", estate)
    return lease, await fault.witness("web", estate, baseline), begun


async def undo_from_disk(lease: Lease, estate: Any) -> None:
    await estate.undo(Lease.model_validate_json(lease.model_dump_json()).undo)


@contextlib.contextmanager
def busy(estate: Pen) -> Iterator[None]:
    """Requests without a pause: a service that does nothing cannot be held back."""
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            estate.answers("web")

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("case", CASES, ids=named)
def test_there_and_back(case: Case, pen: Any, runner: asyncio.Runner) -> None:
    async def main() -> None:
        never = await make(case).undo("web", pen)
        await undo_from_disk(Lease(id="0", run="r", step="s", target="web", undo=never), pen)
        if case[0] not in ("resource.cpu", "clock.skew"):  # those wait long before they give up
            before = await only_look(case, pen)
            assert not before.seen, before.how
        lease, witness, begun = await inflict(case, pen)
        try:
            assert witness.seen, witness.how
            assert begun <= (witness.seen_ns or 0) <= monotonic_ns()
        finally:
            for _ in range(2):
                await undo_from_disk(lease, pen)
        await pen.until(lambda: pen.answers("web"))
        if case[0] == "clock.skew":
            while abs((await read_clock("web", pen, 2.0)).offset_ns or 0) > 2 * 10**9:
                assert monotonic_ns() < (witness.seen_ns or 0) + 10 * 10**9
                await asyncio.sleep(0.1)
        elif case[0] != "resource.cpu":
            after = await only_look(case, pen)
            assert not after.seen, after.how

    with busy(pen) if case[0] == "resource.cpu" else contextlib.nullcontext():
        runner.run(main())


def test_memory_is_taken_until_the_kernel_kills_and_its_log_names_whom(
    pen: Pen, runner: asyncio.Runner
) -> None:
    """The container's restart policy starts it again, under the limit, until that is lifted."""

    async def main() -> None:
        lease, witness, _ = await inflict(("resource.memory", {"limit": "4MB"}), pen)
        await undo_from_disk(lease, pen)
        assert witness.seen, witness.how
        assert "out of memory: the kernel killed python3 (pid " in witness.how
        assert [kill.service for kill in await pen.limits.oom_kills()][:1] == ["web"]
        exits = await pen.means.out_of_memory()
        assert {one.service for one in exits} == {"web"}
        assert "out of memory: the kernel killed its python3 (pid " in exits[0].status
        await pen.until(lambda: pen.answers("web"))
        assert pen.limits.memory("web").limit is None

    runner.run(main())


def test_a_kill_is_a_crash_after_which_the_restart_policy_acts(pen: Pen, runner: asyncio.Runner) -> None:
    async def main() -> None:
        before = await pen.processes.tree("aside")
        killed = await pen.processes.kill("aside")
        assert set(killed) == set(before)
        await pen.until(lambda: all(pen.processes.state(one) == "gone" for one in before))
        await pen.until(lambda: pen.answers("aside"))
        now = await pen.processes.tree("aside")
        assert now
        assert not set(now) & set(before)

    runner.run(main())


def test_frozen_processes_are_woken(pen: Pen, runner: asyncio.Runner) -> None:
    async def main() -> None:
        stopped = await pen.processes.freeze("aside")
        await pen.until(lambda: {pen.processes.state(one) for one in stopped} == {"stopped"})
        await pen.processes.wake(stopped)
        await pen.until(lambda: {pen.processes.state(one) for one in stopped} == {"running"})

    runner.run(main())


def test_what_was_not_prepared_is_not_touched(pen: Pen, runner: asyncio.Runner) -> None:
    with pytest.raises(EnvironmentBroken, match="no disk for front"):
        runner.run(pen.disks.fill("front", "/", 0))
    with pytest.raises(EnvironmentBroken, match="was not prepared"):
        runner.run(pen.clocks.skew("front", 10**12))


def test_date_does_not_speak_for_a_program_that_has_not_loaded_the_library(
    pen: Pen, runner: asyncio.Runner
) -> None:
    async def main() -> None:
        await pen.until(lambda: pen.answers("web"))
        offset_ns, _ = await pen.clocks.read("web")
        assert abs(offset_ns) < 2 * 10**9
        argv = ["env", "-u", "LD_PRELOAD", "sleep", "60"]
        made = pen.engine.client.api.exec_create(pen.ids["web"], argv)
        pen.engine.client.api.exec_start(made["Id"], detach=True)
        await pen.until(lambda: pen.engine.client.api.exec_inspect(made["Id"])["Pid"] > 0)
        (pid,) = [pen.engine.client.api.exec_inspect(made["Id"])["Pid"]]
        try:
            await pen.until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
            with pytest.raises(EnvironmentBroken, match=rf"sleep \(pid {pid}\) runs without the library"):
                await pen.clocks.read("web")
        finally:
            os.kill(pid, signal.SIGKILL)

    runner.run(main())


def test_a_disk_keeps_its_data_while_its_container_is_started_anew(pen: Pen, runner: asyncio.Runner) -> None:
    def inside() -> dict[str, str]:
        return {path.name: path.read_text() for path in pen.disk.iterdir()}

    async def main() -> None:
        assert inside() == {}
        (pen.disk / "kept").write_text("yes")
        await pen.processes.kill("web")
        await pen.until(lambda: not pen.answers("web"))
        await pen.until(lambda: pen.answers("web"))
        assert inside() == {"kept": "yes"}
        (pen.disk / "kept").unlink()

    runner.run(main())


MAKES_A_DISK = """
import time
from chaoskit.model.preparation import DiskPreparation
from chaoskit.runtimes.docker.disks import make_disk
disk = make_disk(DiskPreparation(service="web", path="/x", size=16 << 20))
print(disk.device, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("case", [case for case in CASES if case[0].startswith("disk.")], ids=named)
def test_a_disk_on_which_the_service_never_put_anything_is_no_witness(
    case: Case, runner: asyncio.Runner
) -> None:
    written = Written("written", 0, 10**9, 65_536)
    unused = SimpleNamespace(disks=SimpleNamespace(used=lambda service, path: False))
    seen = runner.run(make(case).witness("web", cast(Any, unused), written))
    assert not seen.seen
    assert "web has never put anything at /srv/data" in seen.how


def test_a_disk_goes_with_the_process_that_made_it_however_that_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", MAKES_A_DISK], stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        device = maker.stdout.readline().strip()
        backing = Path("/sys/block") / Path(device).name / "loop" / "backing_file"
        assert "chaoskit web:/x" in backing.read_text()
        maker.kill()
    deadline = monotonic_ns() + 10 * 10**9
    while backing.exists() and "chaoskit web:/x" in backing.read_text():
        assert monotonic_ns() < deadline
        time.sleep(0.01)


def test_who_cannot_be_parted_and_what_cannot_be_made_is_refused() -> None:
    for others, words in ((("nobody",), "no service"), (("web",), "from itself")):
        with pytest.raises(ValueError, match=words):
            build(registry.member("faults", "network.partition"), {"from": list(others)}).prepare(
                "web", system()
            )
    for parameters, words in (
        ({"ahead": "1h", "behind": "1h"}, "either"),
        ({}, "either"),
        ({"ahead": "1s"}, "too small"),
    ):
        with pytest.raises(ValueError, match=words):
            make(("clock.skew", parameters))
    with pytest.raises(ValueError, match="from 16MB"):
        make(("disk.full", {"path": DISK, "size": "1MB"}))
    with pytest.raises(ValueError, match="whole blocks"):
        make(("disk.slow", {"path": DISK, "size": "32MB", "rate": "1KB"}))
    with pytest.raises(EnvironmentBroken, match="ask for half at most"):
        make_disk(DiskPreparation(service="web", path=DISK, size=1 << 60))


def test_without_root_the_hand_does_it(
    pen: Pen, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the hand is root all the same; what is shown is that everything goes through it."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    async def main() -> None:
        await pen.until(lambda: pen.answers("aside"))
        stopped = await pen.processes.freeze("aside")
        assert stopped
        await pen.until(lambda: {pen.processes.state(one) for one in stopped} == {"stopped"})
        await pen.processes.wake(stopped)
        await pen.until(lambda: {pen.processes.state(one) for one in stopped} == {"running"})
        before = await pen.processes.tree("aside")
        assert set(await pen.processes.kill("aside")) == set(before)
        await pen.until(lambda: all(pen.processes.state(one) == "gone" for one in before))
        await pen.until(lambda: pen.answers("aside"))
        await pen.limits.limit_memory("aside", 1 << 29)
        assert pen.limits.memory("aside").limit == 1 << 29
        await pen.limits.lift("aside", "memory")
        assert pen.limits.memory("aside").limit is None
        await pen.limits.oom_kills()
        route = (await pen.networks.routes("aside", ("front",)))[0]
        with pytest.raises(PermissionError):
            await pen.networks.connect(route, 2)
        await pen.networks.part("aside", ("front",), "chaoskit-by-hand")
        with pytest.raises(TimeoutError):
            await pen.networks.connect(route, 0.3)
        await pen.networks.join("aside", ("front",), "chaoskit-by-hand")
        with pytest.raises(PermissionError):
            await pen.networks.connect(route, 2)

    runner.run(main())
    with pytest.raises(EnvironmentBroken, match="run chaoskit as root"):
        make_disk(DiskPreparation(service="web", path=DISK, size=32 << 20))
