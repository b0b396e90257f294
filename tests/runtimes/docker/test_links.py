"""Links on the real Toxiproxy: invisible to their callers, apart from one another, counted by the kernel."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from toxiproxy.api import APIConsumer

from chaoskit.engines.dialect import knock, refused_by, silence
from chaoskit.model.estate import Address, LinkBytes, Toxic
from chaoskit.runtimes.docker.hand import Hand
from tests.runtimes.docker.links_bench import Bench, Running, bench

pytestmark = pytest.mark.docker
LINKS = (
    "customers -> web",
    "customers -> admin",
    "customers -> fenced",
    "web -> db",
    "admin -> db",
    "web -> cache",
)
NETWORKS = {
    "web": ("front", "back"),
    "admin": ("front",),
    "fenced": ("front",),
    "db": ("back",),
    "cache": ("back",),
}
ASK = (
    "import socket,sys; s=socket.create_connection((sys.argv[1],int(sys.argv[2])),5); s.sendall(b'x\\n'); "
    "print(s.recv(99).decode().strip(), s.getpeername()[0])"
)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    made = Running(LINKS, networks_of=NETWORKS, ports=(7000, 7001), internal=True)
    yield made
    made.close()


@pytest.fixture
def here(running: Running) -> Bench:
    return running.bench


def test_names_and_ports_are_what_they_were(running: Running, here: Bench) -> None:
    for name, port in (("db", 7000), ("db.alias", 7001), ("cache", 7000)):
        link = f"web -> {name.removesuffix('.alias')}"
        answered = running.do(here.exec("web", "python3", "-c", ASK, name, str(port))).decode().split()
        assert answered == [name.removesuffix(".alias"), "x", here.links.seen_by_caller(link).host]
    # A caller on a network that its callee is not on.
    answered = running.do(here.exec("admin", "python3", "-c", ASK, "db", "7000")).decode().split()
    assert answered[2] == here.links.seen_by_caller("admin -> db").host


def test_customers_reach_two_callees_on_one_port(here: Bench) -> None:
    assert here.ask("customers -> web") == b"web hello\n"
    assert here.ask("customers -> admin") == b"admin hello\n"


def test_a_links_faults_touch_that_link_alone(running: Running, here: Bench) -> None:
    running.do(here.links.enable("web -> db", False))
    try:
        assert running.do(refused_by(here.links.address("web -> db"), 2)).kind == "refused"
        with pytest.raises(ConnectionRefusedError):
            here.ask("web -> db")
        for other in ("admin -> db", "web -> cache", "customers -> web"):
            assert here.ask(other).endswith(b" hello\n")
    finally:
        running.do(here.links.enable("web -> db", True))
    slow = Toxic("slow", "latency", "downstream", {"latency": 2000, "jitter": 0})
    running.do(here.links.add_toxic("web -> db", slow))
    try:
        begun = time.monotonic()
        assert here.ask("web -> db") == b"db hello\n"
        assert time.monotonic() - begun >= 1.99
        begun = time.monotonic()
        assert here.ask("admin -> db") == b"db hello\n"
        assert time.monotonic() - begun < 1.9
    finally:
        running.do(here.links.remove_toxic("web -> db", "slow"))


def settled(running: Running, here: Bench) -> dict[str, LinkBytes]:
    """The counters once they stand still: on a busy machine the last packets of an ended connection come late."""
    last, deadline = running.do(here.links.traffic()), time.monotonic() + 10
    while True:
        time.sleep(0.1)  # the kernel's counters announce nothing
        now = running.do(here.links.traffic())
        if now == last:
            return dict(now)
        assert time.monotonic() < deadline, "the bench is not at rest"
        last = now


def test_the_kernel_counts_what_a_link_carries_and_what_goes_past_it(running: Running, here: Bench) -> None:
    before = settled(running, here)
    here.ask("web -> db", b"x" * 1000 + b"\n")
    # A connection alone carries nothing; and the witness's own questions are not the caller's.
    here.connect("web", here.links.seen_by_caller("web -> cache")).close()
    assert running.do(knock(here.links.address("web -> cache"), 2)).kind == "answered"
    carried = settled(running, here)
    assert carried["web -> db"].upstream - before["web -> db"].upstream >= 1000
    assert carried["web -> db"].downstream - before["web -> db"].downstream >= 1000
    assert carried["web -> cache"] == before["web -> cache"]
    assert carried["admin -> db"] == before["admin -> db"]
    assert not any(moved.direct for moved in carried.values())

    # A caller that asks the engine's name server itself.
    ours = next(iter(here.replicas["db"].addresses.values()))
    running.do(here.exec("web", "python3", "-c", ASK, ours, "7001"))
    past = running.do(here.links.traffic())
    assert past["web -> db"].direct > 0
    assert past["web -> db"].upstream == carried["web -> db"].upstream
    assert past["admin -> db"].direct == past["web -> cache"].direct == 0


def test_a_lost_host_is_silent_and_a_listening_callee_is_heard_again(running: Running, here: Bench) -> None:
    links, link = here.links, "web -> cache"
    with here.connect("web", links.seen_by_caller(link)) as old:
        assert running.do(links.mirror("cache", "silent")) == (link,)
        assert running.do(silence(links.address(link), 0.3)).kind in ("silent", "unreachable")
        with pytest.raises(TimeoutError):
            here.connect("web", links.seen_by_caller(link), 0.3)
        old.settimeout(0.3)
        old.sendall(b"anybody?\n")
        with pytest.raises(TimeoutError):
            old.recv(1)
        assert here.ask("web -> db") == b"db hello\n"
    running.do(links.listens("cache"))
    assert here.ask(link) == b"cache hello\n"


def test_a_fence_is_for_good(running: Running, here: Bench) -> None:
    # A service of its own: nothing takes a fence back, and the bench is shared in any order.
    links, link = here.links, "customers -> fenced"
    assert here.ask(link) == b"fenced hello\n"
    assert running.do(links.fence("fenced")) == (link,)
    running.do(links.listens("fenced"))
    running.do(links.enable(link, True))
    assert running.do(knock(links.address(link), 2)).kind == "refused"
    assert here.ask("customers -> web") == b"web hello\n"


def test_a_dial_to_a_silent_callee_does_not_keep_the_proxy_from_being_told(running: Running) -> None:
    async def main() -> None:
        async with bench(("customers -> web",)) as here:
            pid = here.replicas["web"].pid
            drop = ["iptables", "-I", "INPUT", "-p", "tcp", "-j", "DROP"]
            assert (await here.hand.in_network(pid, drop)).returncode == 0
            at = here.links.address("customers -> web")
            waiting = await asyncio.open_connection(at.host, at.port)
            begun = time.monotonic()
            await here.links.enable("customers -> web", False)
            assert time.monotonic() - begun < 2.0
            assert not here.links.restarts()
            waiting[1].close()

    running.do(main())


def test_a_dial_to_a_lost_callee_does_not_hold_up_the_way_to_the_new_one(running: Running) -> None:
    async def main() -> None:
        async with bench(("customers -> web", "customers -> cache")) as here:
            drop = ["iptables", "-I", "INPUT", "-p", "tcp", "-j", "DROP"]
            assert (await here.hand.in_network(here.replicas["web"].pid, drop)).returncode == 0
            at = here.links.address("customers -> web")
            waiting = await asyncio.open_connection(at.host, at.port)
            here.links.find = lambda _: [here.replicas["cache"]]  # as after a start on another machine
            begun = time.monotonic()
            await here.links.listens("web")
            assert time.monotonic() - begun < 2.0
            assert not here.links.restarts()
            assert await asyncio.to_thread(here.ask, "customers -> web") == b"cache hello\n"
            waiting[1].close()

    running.do(main())


def test_users_own_scripts_work_against_it(here: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    api = here.links.api("web -> cache")
    monkeypatch.setattr(APIConsumer, "host", api.host)
    monkeypatch.setattr(APIConsumer, "port", api.port)
    users: Any = importlib.import_module("toxiproxy")  # it has no types
    proxy = users.Toxiproxy().get_proxy("web -> cache")
    proxy.add_toxic(type="latency", attributes={"latency": 400})
    begun = time.monotonic()
    assert here.ask("web -> cache") == b"cache hello\n"
    assert time.monotonic() - begun >= 0.39
    proxy.destroy_toxic("latency_downstream")
    assert here.ask("web -> cache") == b"cache hello\n"


def test_sixty_links_start_in_seconds() -> None:
    links = [f"caller{n} -> callee{n % 10}" for n in range(60)]

    async def main() -> float:
        begun = time.monotonic()
        async with bench(links, start=("caller0", "callee0")) as here:
            took = time.monotonic() - begun
            assert here.ask("caller0 -> callee0") == b"callee0 hello\n"
            assert len(here.layout.links) == 60
            assert (await knock(here.links.address("caller7 -> callee7"), 2)).kind == "refused"
        return took

    assert (
        asyncio.run(main()) < 15.0
    )  # a hang is a failure; how fast it is on a quiet machine is for a benchmark


def test_without_root_the_agent_is_the_hand(here: Bench, running: Running) -> None:
    async def main() -> None:
        hand = Hand(here.engine, here.labels, direct=False)
        try:
            assert (await hand.run(["sh", "-c", "cat; echo oops >&2; exit 3"], b"a\n b")).returncode == 3
            done = await hand.run(["cat"], bytes(range(256)) * 400)
            assert (done.returncode, done.stdout) == (0, bytes(range(256)) * 400)
            seen = await hand.in_network(here.replicas["db"].pid, ["ip", "-4", "-o", "addr"])
            assert next(iter(here.replicas["db"].addresses.values())).encode() in seen.stdout
            assert (await hand.run(["no-such-program"])).returncode == 127
        finally:
            await hand.close()

    running.do(main())


def test_an_address_that_only_callers_have_is_no_address_of_this_host(here: Bench) -> None:
    inside, outside = here.links.seen_by_caller("web -> db"), here.links.address("web -> db")
    assert inside.port == 7000
    assert isinstance(outside, Address)
    assert not outside.host.startswith("169.254.")
