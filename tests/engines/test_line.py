"""Lines tell apart what the kernel tells apart, and dialects choose the protocol a service speaks."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.conductor import actors
from chaoskit.engines.dialect import Dialect, knock, refused_by, silence, take_position
from chaoskit.engines.http_line import HttpLine
from chaoskit.engines.line import NoLine, RawLine
from chaoskit.engines.postgresql_line import PostgresLine, StartupLine
from chaoskit.faults.link_bandwidth import LinkBandwidth
from chaoskit.faults.link_latency import LinkLatency
from chaoskit.faults.process_freeze import ProcessFreeze
from chaoskit.model.estate import Address
from chaoskit.model.system import Good, Journey, Link, LocalService, Service, System
from chaoskit.quantity import Duration, Size
from tests.contracts.postgresql_pair import Member, own_address, role

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def serving(handler: Handler, work: Callable[[Address], Awaitable[Any]]) -> Any:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        return await work(Address("127.0.0.1", server.sockets[0].getsockname()[1]))
    finally:
        server.close()


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    own: socket.socket = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"SSH-2.0-nonsense\r\n\r\n")


@pytest.mark.parametrize(
    ("handler", "kind"),
    [(hold, "silent"), (hang_up, "closed"), (reset, "reset"), (babble, "closed")],
    ids=["silent", "closed", "reset", "babble"],
)
def test_http_tells_how_a_question_ended(handler: Handler, kind: str) -> None:
    async def ask(address: Address) -> str:
        line = await HttpLine.open(address, "/", "web", 1)
        try:
            return (await line.ask(0.2 if kind == "silent" else 10)).kind
        finally:
            line.close()

    assert asyncio.run(serving(handler, ask)) == kind


def test_a_chunked_answer_and_one_without_a_length_are_whole() -> None:
    async def chunked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

    async def ask(address: Address) -> tuple[str, int]:
        line = await HttpLine.open(address, "/", "web", 1)
        await line.ask(1)
        answer = await line.ask(1)
        line.close()
        return answer.kind, line.status

    assert asyncio.run(serving(chunked, ask)) == ("answered", 503)


def test_a_knock_tells_refused_from_accepted_from_silent() -> None:
    async def knocks() -> list[str]:
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = Address(*full.getsockname())
        fillers = [await RawLine.open(address, 1)]
        kinds = [(await knock(address, 0.2)).kind for _ in range(3)]  # the queue is full: the kernel drops
        for one in fillers:
            one.close()
        full.close()
        return [kinds[-1], (await knock(own_address(), 1)).kind, (await refused_by(own_address(), 1)).kind]

    assert asyncio.run(knocks()) == ["silent", "refused", "refused"]
    assert asyncio.run(serving(hold, lambda address: knock(address, 1))).kind == "answered"
    assert asyncio.run(serving(hold, lambda address: silence(address, 0.1))).kind == "silent"
    assert asyncio.run(serving(hold, lambda address: refused_by(address, 1))).kind == "answered"


def test_a_session_is_asked_moved_through_and_seen_to_end(whole_primary: Member) -> None:
    async def live() -> None:
        line = await PostgresLine.open(whole_primary.address, role(), 5)
        assert (await line.ask(5)).kind == "answered"
        for way in ("requests", "answers"):
            moved = await line.move(300_000, way, 5)  # type: ignore[arg-type]
            assert (moved.kind, moved.bytes) == ("answered", 300_000)
        assert (await line.ending(0.05)).kind == "silent"
        assert (await line.ask(5)).kind == "answered"
        await asyncio.to_thread(
            whole_primary.execute,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'chaoskit'",
        )
        assert (await line.ending(5)).kind == "closed"
        line.close()

    asyncio.run(live())


def test_a_role_that_may_not_log_in_still_gets_its_link_timed(whole_primary: Member) -> None:
    stranger = role().model_copy(update={"user": "nobody-here"})

    async def ask() -> None:
        position = await take_position(Dialect("db", "postgresql", role=stranger), whole_primary.address)
        assert isinstance(position.line, StartupLine)
        assert len(position.times_ns) == 5
        assert (await position.line.move(10, "answers", 1)).kind == "unreachable"
        assert (await position.line.ending(0.05)).kind == "silent"
        position.close()

    asyncio.run(ask())


def test_a_position_where_nobody_answers_says_why() -> None:
    async def take() -> str:
        position = await take_position(Dialect("web", "http"), own_address())
        assert position.line is None
        return position.why

    assert "refused" in asyncio.run(take())
    with pytest.raises(NoLine):
        asyncio.run(Dialect("web", "http").open(own_address(), 0.5))


def test_a_server_that_closes_after_its_answer_is_named_as_the_reason() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    async def take(address: Address) -> str:
        position = await take_position(Dialect("web", "http"), address)
        assert position.line is None
        return position.why

    assert "keep-alive" in asyncio.run(serving(once, take))


def test_the_protocol_follows_from_the_system_file() -> None:
    journey = Journey(get="shop/basket", good=Good(status=200, within=Duration.parse("1s")))
    system = System(
        system="s",
        compose="c",
        folder="/",
        services={name: Service(name=name) for name in ("db", "web", "shop", "queue")},
        roles={"database": role()},
        links=(),
        journeys={"buy": journey},
        local={"web": LocalService(run="x", ready="health")},
    )
    assert [Dialect.of(system, name).name for name in ("db", "db-standby", "web", "shop", "queue")] == [
        "postgresql",
        "postgresql",
        "http",
        "http",
        "tcp",
    ]
    assert Dialect.of(system, "web").path == "/health"


async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    while await reader.read(65536):
        pass


async def freeze(estate: Any) -> Any:
    return await ProcessFreeze().baseline("web", estate)


async def limit(estate: Any) -> Any:
    return await LinkBandwidth(Size.parse("64KB")).baseline("gate -> web", estate)


async def delay(estate: Any) -> Any:
    return await LinkLatency(Duration.parse("300ms")).baseline("gate -> web", estate)


@pytest.mark.parametrize("baseline", [freeze, limit, delay])
def test_a_baseline_that_is_given_up_leaves_no_connection(
    baseline: Callable[[Any], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal of a baseline has 300 ms; nobody has anything to close then."""
    # Where asyncio has it, it closes what nobody refers to any more: nothing here may lean on that.
    monkeypatch.delattr(asyncio.StreamWriter, "__del__", raising=False)
    gone = asyncio.Event()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_once(reader, writer)
        gone.set()
        writer.close()

    async def work(address: Address) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await baseline(estate_of(address))
        async with asyncio.timeout(5):
            await gone.wait()

    asyncio.run(serving(served, work))


@pytest.mark.parametrize("baseline", [freeze, limit, delay])
def test_a_baseline_that_is_renewed_is_let_go_of(baseline: Callable[[Any], Awaitable[Any]]) -> None:
    gone = asyncio.Event()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * data.count(b"\r\n\r\n"))
        gone.set()
        writer.close()

    async def work(address: Address) -> None:
        taken = await baseline(estate_of(address, tree=()))
        assert not gone.is_set()
        actors._let_go(taken)
        async with asyncio.timeout(5):
            await gone.wait()

    asyncio.run(serving(served, work))


def estate_of(address: Address, tree: Any = None) -> Any:
    """An estate whose one service listens there; its processes are told, or nobody ever says."""
    web = LocalService(run="web", ready="/")
    system = System(
        system="bank",
        compose="compose.yaml",
        folder="/nowhere",
        services={"web": Service(name="web"), "gate": Service(name="gate")},
        local={"web": web},
        links=(Link.parse("gate -> web"),),
        journeys={},
    )

    async def told(service: str) -> Any:
        return tree if tree is not None else await asyncio.get_running_loop().create_future()

    return SimpleNamespace(
        plan=SimpleNamespace(system=system),
        direct=lambda service: address,
        links=SimpleNamespace(address=lambda link, port=None: address),
        processes=SimpleNamespace(tree=told),
    )
