"""Every way an exchange can end, each made by a server that misbehaves so."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.clock import monotonic_ns
from chaoskit.conductor import http_client, http_connection
from chaoskit.conductor.http_client import Answer, Target

REQUEST = b"GET / HTTP/1.1\r\nHost: bank\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIMIT_NS = 10_000_000_000
SHORT_NS = 100_000_000

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _request(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def says(*pieces: bytes, pause: float = 0.0, hold: bool = False) -> Handler:
    """Answers every request with these pieces; `hold` keeps the connection open afterwards, else it is closed."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if hold:
            await reader.read()

    return handler


async def keeps_alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await _request(reader)
        writer.write(OK)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _request(reader)
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Bank:
    """A server with one handler, on a port of its own."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            await self._handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def __aenter__(self) -> Bank:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()


async def ask(target: Target, limit_ns: int = LIMIT_NS) -> Answer:
    answers: asyncio.Queue[Answer] = asyncio.Queue()
    target.exchange(REQUEST, limit_ns, answers.put_nowait)
    async with asyncio.timeout(20):
        answer = await answers.get()
    await asyncio.sleep(0)
    assert answers.empty(), "an exchange ended twice"
    return answer


def once(handler: Handler, limit_ns: int = LIMIT_NS, *, keep: bool = True) -> Answer:
    async def run() -> Answer:
        async with Bank(handler) as bank:
            target = Target("127.0.0.1", bank.port, keep=keep, clock=monotonic_ns)
            try:
                return await ask(target, limit_ns)
            finally:
                target.close()

    return uvloop.run(run())


@pytest.mark.parametrize("keep", [True, False])
def test_an_answer(keep: bool) -> None:
    before = time.monotonic_ns()
    answer = once(keeps_alive, keep=keep)
    assert (answer.ending, answer.status, answer.body) == ("answered", 200, b"ok")
    assert answer.sent_ns is not None
    assert before <= answer.sent_ns <= answer.done_ns <= time.monotonic_ns()


def test_refused_is_no_request_sent() -> None:
    async def run() -> Answer:
        with socket.socket() as taken:  # bound, not listening
            taken.bind(("127.0.0.1", 0))
            return await ask(Target("127.0.0.1", taken.getsockname()[1], keep=True, clock=monotonic_ns))

    answer = uvloop.run(run())
    assert (answer.ending, answer.sent_ns) == ("connect", None)
    assert "refused" in answer.detail


def test_a_host_that_cannot_be_a_name_is_no_request_sent() -> None:
    async def run() -> Answer:
        return await ask(Target("a..b", 80, keep=True, clock=monotonic_ns))

    assert uvloop.run(run()).ending == "connect"


def test_connect_limit_is_no_request_sent() -> None:
    async def run() -> Answer:
        with socket.socket() as full:  # a backlog of one, taken: further connects get no answer
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            try:
                return await ask(Target(*full.getsockname(), keep=True, clock=monotonic_ns), SHORT_NS)
            finally:
                for filler in fillers:
                    filler.close()

    answer = uvloop.run(run())
    assert (answer.ending, answer.sent_ns) == ("connect", None)
    assert "limit" in answer.detail


@pytest.mark.parametrize(
    ("handler", "ending", "status"),
    [
        pytest.param(says(), "eof", None, id="accept-then-eof"),
        pytest.param(resets, "reset", None, id="reset-after-the-request"),
        pytest.param(
            says(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nok"), "eof", 201, id="eof-inside"
        ),
        pytest.param(says(b"HTTP/1.1 20"), "eof", None, id="eof-in-the-status-line"),
        pytest.param(says(b"220 mail.example ESMTP\r\n"), "garbage", None, id="another-protocol"),
        pytest.param(says(bytes(range(256))), "garbage", None, id="bytes"),
        pytest.param(
            says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nXX\r\n"),
            "garbage",
            200,
            id="bad-chunk",
        ),
        pytest.param(
            says(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
            "garbage",
            101,
            id="upgrade",
        ),
    ],
)
def test_no_whole_answer(handler: Handler, ending: str, status: int | None) -> None:
    answer = once(handler)
    assert (answer.ending, answer.status) == (ending, status)
    assert answer.sent_ns is not None
    assert answer.detail


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(says(hold=True), id="hang"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Le", hold=True), id="hang-inside-the-headers"),
        pytest.param(says(*[b"H"] + [b"x"] * 500, pause=0.02), id="garbage-by-drops"),
        pytest.param(
            says(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", *[b"x"] * 500, pause=0.02), id="trickle"
        ),
        pytest.param(says(b"HTTP/1.0 200 OK\r\n\r\n", *[b"x"] * 500, pause=0.02), id="endless-http-1.0"),
    ],
)
def test_the_limit_ends_what_goes_on(handler: Handler) -> None:
    answer = once(handler, SHORT_NS)
    assert answer.ending in ("limit", "garbage")
    assert answer.sent_ns is not None
    if answer.ending == "limit":
        assert answer.done_ns - answer.sent_ns >= SHORT_NS * 0.95
    assert answer.done_ns - answer.sent_ns < 5_000_000_000


@pytest.mark.parametrize(
    ("pieces", "status", "body"),
    [
        pytest.param(
            (b"HTTP/1.0 200 OK\r\n\r\nhello", b" there"), 200, b"hello there", id="http-1.0-until-eof"
        ),
        pytest.param((b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b"", id="no-content"),
        pytest.param((b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",), 503, b"", id="503"),
        pytest.param(
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"),
            200,
            b"abcde",
            id="chunked",
        ),
        pytest.param((b"HTTP/1.1 100 Continue\r\n\r\n", OK), 200, b"ok", id="interim-answer-apart"),
        pytest.param(
            (b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK,), 200, b"ok", id="interim-answer-joined"
        ),
        pytest.param(tuple(bytes((byte,)) for byte in OK), 200, b"ok", id="byte-by-byte"),
        pytest.param((OK + OK.replace(b"200", b"500"),), 200, b"ok", id="two-answers-the-first-counts"),
        pytest.param((OK + b"garbage",), 200, b"ok", id="garbage-behind-the-answer"),
    ],
)
@pytest.mark.parametrize("keep", [True, False])
def test_whole_answers(pieces: tuple[bytes, ...], status: int, body: bytes, keep: bool) -> None:
    answer = once(says(*pieces), keep=keep)
    assert (answer.ending, answer.status, answer.body) == ("answered", status, body)


def test_a_long_body_is_dropped_beyond_what_is_kept() -> None:
    size = http_connection.BODY_KEPT * 3
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    answer = once(says(head, b"x" * size))
    assert answer.ending == "answered"
    assert len(answer.body) == http_connection.BODY_KEPT


def test_an_endless_body_is_cut() -> None:
    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()

    answer = once(floods)
    assert (answer.ending, answer.status) == ("too-big", 200)


def test_connections_are_kept_and_the_last_used_comes_first() -> None:
    async def run() -> int:
        async with Bank(keeps_alive) as bank:
            target = Target("127.0.0.1", bank.port, keep=True, clock=monotonic_ns)
            for _ in range(20):
                assert (await ask(target)).ending == "answered"
            target.close()
            return bank.connections

    assert uvloop.run(run()) == 1


def test_a_probe_has_a_connection_of_its_own() -> None:
    async def run() -> int:
        async with Bank(keeps_alive) as bank:
            target = Target("127.0.0.1", bank.port, keep=False, clock=monotonic_ns)
            for _ in range(5):
                assert (await ask(target)).ending == "answered"
            return bank.connections

    assert uvloop.run(run()) == 5


def test_after_surplus_bytes_a_connection_is_not_used_again() -> None:
    async def run() -> int:
        async def chatters(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await says(OK + OK, hold=True)(reader, writer)

        async with Bank(chatters) as bank:
            target = Target("127.0.0.1", bank.port, keep=True, clock=monotonic_ns)
            for _ in range(3):
                assert (await ask(target)).ending == "answered"
            target.close()
            return bank.connections

    assert uvloop.run(run()) == 3


def test_a_connection_the_server_closed_meanwhile_is_not_used() -> None:
    async def run() -> tuple[Answer, int]:
        async with Bank(says(OK)) as bank:
            target = Target("127.0.0.1", bank.port, keep=True, clock=monotonic_ns)
            await ask(target)
            await asyncio.sleep(0.05)  # the close arrives; nothing else tells of it
            return await ask(target), bank.connections

    answer, connections = uvloop.run(run())
    assert (answer.ending, connections) == ("answered", 2)


def test_one_dead_connection_spoils_no_later_exchange() -> None:
    """Three idle connections whose path goes dead: the first exchange finds out, the rest start afresh."""

    async def run() -> list[str]:
        dead = False

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            born_dead = dead
            while True:
                await _request(reader)
                if dead and not born_dead:
                    await asyncio.sleep(60)
                await asyncio.sleep(0.02)
                writer.write(OK)

        async with Bank(handler) as bank:
            target = Target("127.0.0.1", bank.port, keep=True, clock=monotonic_ns)
            await asyncio.gather(*(ask(target) for _ in range(3)))
            dead = True
            endings: list[str] = [(await ask(target, 2_000_000_000)).ending for _ in range(4)]
            target.close()
            return endings

    assert uvloop.run(run()) == ["limit", "answered", "answered", "answered"]


def test_a_stuck_exchange_delays_no_other() -> None:
    async def run() -> tuple[list[str], float]:
        first = True

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal first
            if first:
                first = False
                await asyncio.sleep(60)
            await keeps_alive(reader, writer)

        async with Bank(handler) as bank:
            target = Target("127.0.0.1", bank.port, keep=True, clock=monotonic_ns)
            stuck = asyncio.create_task(ask(target, 2_000_000_000))
            await asyncio.sleep(0.05)
            began = time.monotonic()
            others = [(await ask(target)).ending for _ in range(10)]
            took = time.monotonic() - began
            return [*others, (await stuck).ending], took

    endings, took = uvloop.run(run())
    assert endings == ["answered"] * 10 + ["limit"]
    assert took < 1.5


class Wire:
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [
                    OK,
                    OK[:30],
                    b"HTTP/1.1 ",
                    b"200 OK\r\n",
                    b"\r\n\r\n",
                    b"Content-Length: 3\r\n",
                    b"HTTP/1.1 100 x\r\n\r\n",
                ]
            ),
        ),
        max_size=8,
    ),
    st.sampled_from(["eof", "lost", "open"]),
)
def test_whatever_bytes_come_an_exchange_ends_once_at_most(pieces: list[bytes], end: str) -> None:
    answers: list[Answer] = []
    target = Target("127.0.0.1", 1, keep=True, clock=monotonic_ns)
    exchange = http_connection.Exchange(REQUEST, monotonic_ns, answers.append)
    connection = http_connection.Connection(target, exchange)
    connection.connection_made(Wire())  # type: ignore[arg-type]
    for piece in pieces:
        if connection.usable and piece:
            connection.data_received(piece)
    if end == "eof" and connection.usable:
        connection.eof_received()
    if end != "open":
        connection.connection_lost(None)
        assert len(answers) == 1
    assert len(answers) <= 1


def test_an_old_idle_connection_is_left_alone() -> None:
    async def run() -> int:
        now = 0
        async with Bank(keeps_alive) as bank:
            target = Target("127.0.0.1", bank.port, keep=True, clock=lambda: now)
            await ask(target)
            now += http_client.IDLE_MAX_NS + 1
            await ask(target)
            target.close()
            return bank.connections

    assert uvloop.run(run()) == 2
