"""An estate small enough for one test: real PostgreSQL, a real HTTP service, real proxies, no supervisor.

                       ┌──────────────────────────────────┐
    customers ──► web ──► db  ◄── (replication) db-standby

It keeps the estate's promises plainly (a fence is for good, a link with a fault on it is left to drain), so that a
fault or a response that leans on more than the promises shows it here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import psutil

from chaoskit.engines.database_undo import undo_database
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address, LinkBytes, ProxyHeldUp, ProxyRestart, Toxic
from chaoskit.model.lease import (
    HostRulesUndo,
    LinkUndo,
    MirrorUndo,
    ProcessRef,
    ProcessState,
    RaisedLimitUndo,
    ReportUndo,
    SettingUndo,
    SignalUndo,
    ToxicUndo,
    Undo,
)
from chaoskit.model.system import Link, LocalService, Service, System
from chaoskit.toxiproxy.process import ServerProcess
from tests.contracts.postgresql_pair import (
    Member,
    await_detached,
    copy,
    make_standby,
    make_template,
    own_address,
    remove,
    role,
)

TICKS = os.sysconf("SC_CLK_TCK")
LINKS = ("customers -> web", "web -> db", "web -> db-standby", "db-standby -> db")


def system(links: Iterable[str]) -> System:
    """What system.yaml would say of it."""
    return System(
        system="bench",
        compose="compose.yaml",
        folder="/",
        services={name: Service(name=name) for name in ("web", "db", "db-standby", "cache")},
        roles={"database": role()},
        links=tuple(Link.parse(name) for name in links),
        journeys={},
        local={"web": LocalService(run="web", ready="/ready")},
    )


class Bench:
    """Implements the Estate protocols that faults, responses and probes use."""

    run = "bench"
    capabilities = frozenset({"processes", "lifecycle", "links"})

    def __init__(self) -> None:
        self.plan: Any = SimpleNamespace(system=system(()))
        self.folder = Path(tempfile.mkdtemp(prefix="chaoskit-test-bench-"))
        self.proxy = ServerProcess.embedded()
        self.roots: dict[str, subprocess.Popen[bytes]] = {}
        self.addresses: dict[str, Address] = {}
        self.listens: dict[str, Address] = {}
        self.members: dict[str, Member] = {}
        self.faulted: set[str] = set()
        self.fenced: set[str] = set()
        self.mirrored: dict[str, str] = {}
        self.hole = socket.create_server((own_address().host, 0))
        self.processes: Any = self
        self.links: Any = self
        self.lifecycle: Any = self

    # --- set-up -------------------------------------------------------------------------------------------------

    def start_web(self) -> None:
        site = self.folder / "site"
        site.mkdir(exist_ok=True)
        (site / "ready").write_text("ready " * 20)
        at = self.addresses.setdefault("web", own_address())
        command = [
            sys.executable,
            "-m",
            "http.server",
            "--protocol",
            "HTTP/1.1",
            "--bind",
            at.host,
            str(at.port),
        ]
        with (self.folder / "web.log").open("ab") as log:
            self.roots["web"] = subprocess.Popen(command, cwd=site, stdout=log, stderr=log)
        _await_port(at)

    def start_cache(self) -> None:
        at = self.addresses.setdefault("cache", own_address())
        code = f"import socket,time; s=socket.create_server(({at.host!r},{at.port})); time.sleep(1000)"
        self.roots["cache"] = subprocess.Popen([sys.executable, "-c", code])
        _await_port(at)

    def start_pair(self, template: Path, *settings: str) -> None:
        data = {name: copy(template, name) for name in ("db", "db-standby")}
        self.addresses |= {name: own_address() for name in data}
        self._adopt("db", Member.start(data["db"], self.addresses["db"], *settings))
        for name in LINKS[1:]:
            self.open_link(name)
        make_standby(data["db-standby"], self.listens["db-standby -> db"])
        self._adopt("db-standby", Member.start(data["db-standby"], self.addresses["db-standby"]))
        self.until(lambda: bool(self.members["db"].execute("SELECT 1 FROM pg_stat_replication")))

    def open_link(self, name: str) -> None:
        target = self.addresses[Link.parse(name).callee]
        state = self.proxy.api.create(name, str(own_address()), str(target))
        host, _, port = state.listen.rpartition(":")
        self.listens[name] = Address(host, int(port))
        self.plan.system = system(self.listens)

    def until(self, done: Any, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _adopt(self, name: str, member: Member) -> None:
        self.members[name] = member
        self.roots[name] = member.process

    def close(self) -> None:
        for name in self.roots:
            for one in self._live(name):
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        for root in self.roots.values():
            root.wait()
        self.proxy.stop()
        self.hole.close()
        for member in self.members.values():
            remove(member.data)
        shutil.rmtree(self.folder)

    # --- Estate -------------------------------------------------------------------------------------------------

    def direct(self, service: str) -> Address:
        return self.addresses[service]

    async def undo(self, undo: Undo) -> None:
        for step in undo.steps:
            if isinstance(step, SignalUndo):
                for one in step.processes:
                    with contextlib.suppress(
                        psutil.NoSuchProcess
                    ):  # a server's own process may end at any time
                        if self.state(one) == "gone":
                            continue
                        below = psutil.Process(one.pid).children(recursive=True)
                        for pid in [one.pid, *(child.pid for child in below)]:
                            _signal(ProcessRef(pid=pid, start=0), signal.SIGCONT)
            elif isinstance(step, LinkUndo):
                self.faulted.discard(step.link)
                if Link.parse(step.link).callee not in self.fenced:
                    await asyncio.to_thread(self.proxy.api.set_enabled, step.link, True)
            elif isinstance(step, ToxicUndo):
                self.faulted.discard(step.link)
                await self.remove_toxic(step.link, step.toxic)
            elif isinstance(step, MirrorUndo):
                self.release(step.service)
            elif isinstance(step, ReportUndo | HostRulesUndo | SettingUndo | RaisedLimitUndo):
                await undo_database(step, self)

    # --- Processes ----------------------------------------------------------------------------------------------

    def _live(self, service: str) -> list[psutil.Process]:
        root = self.roots.get(service)
        if root is None or root.poll() is not None:
            return []
        parent = psutil.Process(root.pid)
        return [parent, *parent.children(recursive=True)]

    async def tree(self, service: str) -> tuple[ProcessRef, ...]:
        found = (_stat(one.pid) for one in self._live(service))
        return tuple(ProcessRef(pid=pid, start=start) for pid, start, state in found if state not in "ZX")

    async def freeze(self, service: str) -> tuple[ProcessRef, ...]:
        stopped: tuple[ProcessRef, ...] = ()
        while set(now := await self.tree(service)) - set(stopped):
            for one in now:
                _signal(one, signal.SIGSTOP)
            stopped = now
        return stopped

    async def kill(self, service: str, *, revive: bool = True) -> tuple[ProcessRef, ...]:
        stopped = await self.freeze(service)
        for one in stopped:
            _signal(one, signal.SIGKILL)
        self.roots[service].wait()
        return stopped

    def state(self, process: ProcessRef) -> ProcessState:
        _, start, state = _stat(process.pid)
        if start != process.start or state in "ZX":
            return "gone"
        return "stopped" if state in "Tt" else "running"

    # --- Lifecycle ----------------------------------------------------------------------------------------------

    async def start(self, service: str) -> None:
        if service in self.members:
            old = self.members[service]
            await asyncio.to_thread(await_detached, old.data)
            (old.data / "postmaster.pid").unlink(missing_ok=True)
            try:
                self._adopt(service, await asyncio.to_thread(Member.start, old.data, old.address))
            except AssertionError as error:
                raise EnvironmentBroken(str(error)) from error
        else:
            await asyncio.to_thread(self.start_web)
        self.release(service)

    async def stop(self, service: str) -> None:
        self.roots[service].send_signal(signal.SIGINT)
        await asyncio.to_thread(self.roots[service].wait, 20)

    # --- Links --------------------------------------------------------------------------------------------------

    def address(self, link: str, port: int | None = None) -> Address:
        return self.listens[link]

    async def enable(self, link: str, enabled: bool, by: str = "fault") -> None:
        self.faulted.add(link)
        await asyncio.to_thread(self.proxy.api.set_enabled, link, enabled)

    async def add_toxic(self, link: str, toxic: Toxic) -> None:
        self.faulted.add(link)
        await asyncio.to_thread(
            self.proxy.api.add_toxic,
            link,
            toxic.type,
            toxic.stream,
            toxic.attributes,
            toxic.toxicity,
            toxic.name,
        )

    async def remove_toxic(self, link: str, toxic: str) -> None:
        await asyncio.to_thread(self.proxy.api.remove_toxic, link, toxic)

    async def mirror(self, service: str, mode: Literal["refused", "silent"]) -> tuple[str, ...]:
        links = [
            name for name in self.listens if Link.parse(name).callee == service and name not in self.faulted
        ]
        hole = "{}:{}".format(*self.hole.getsockname())
        for name in links:
            self.mirrored[name] = mode
            if mode == "refused":
                await asyncio.to_thread(self.proxy.api.set_enabled, name, False)
            else:
                await asyncio.to_thread(_repoint, self.proxy, name, hole)
        return tuple(links)

    def release(self, service: str) -> None:
        """Called when the service listens again; a runtime would notice by itself."""
        if service in self.fenced or not self._live(service):
            return
        for name in [name for name in self.mirrored if Link.parse(name).callee == service]:
            _repoint(self.proxy, name, str(self.addresses[service]))
            self.proxy.api.set_enabled(name, True)
            del self.mirrored[name]

    async def fence(self, service: str) -> tuple[str, ...]:
        self.fenced.add(service)
        links = tuple(name for name in self.listens if Link.parse(name).callee == service)
        for name in links:
            await asyncio.to_thread(self.proxy.api.set_enabled, name, False)
        return links

    def restarts(self) -> tuple[ProxyRestart, ...]:
        return ()

    def held_up(self) -> tuple[ProxyHeldUp, ...]:
        return ()

    async def bypassed(self) -> Mapping[str, int]:
        return {}

    async def traffic(self) -> Mapping[str, LinkBytes]:
        moved = self.proxy.api.traffic()
        return {name: LinkBytes(one.upstream_bytes, one.downstream_bytes) for name, one in moved.items()}


def _repoint(proxy: ServerProcess, name: str, upstream: str) -> None:
    proxy.api._api.patch(f"/proxies/{name.replace(' ', '%20').replace('>', '%3E')}", {"upstream": upstream})


def _signal(process: ProcessRef, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
        os.kill(process.pid, number)


def _stat(pid: int) -> tuple[int, int, str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return pid, 0, "X"
    fields = text[text.rindex(")") + 2 :].split()
    return pid, int(fields[19]), fields[0]


def _await_port(at: Address) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((at.host, at.port), 1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


def template() -> Iterator[Path]:
    """A session's template of the database system; everything below it goes at the end."""
    data = make_template()
    yield data
    remove(data)
