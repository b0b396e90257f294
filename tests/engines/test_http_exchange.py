"""One question, one whole answer, or a reason: never half an answer, never another exception."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chaoskit.engines.http_exchange import NoAnswer, ask_json, document
from chaoskit.model.estate import Address


def asked(answer: bytes, body: dict[str, Any] | None = None, within_s: float = 5.0) -> tuple[Any, bytes]:
    """(what `ask_json` returned or raised, the request's head) of a server that says this and hangs up."""

    async def main() -> tuple[Any, bytes]:
        heads: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            if answer:
                writer.write(answer)
                await writer.drain()
                writer.close()
            else:
                await reader.read()  # silent until the other side leaves
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        async with server:
            try:
                found: Any = await ask_json(Address(host, port), "payments", body, within_s)
            except NoAnswer as error:
                found = error
        return found, heads[0]

    return asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"n": 12}',
        b'HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{"n": 12}\r\n0\r\n\r\n',
        b'HTTP/1.0 200 OK\r\n\r\n{"n": 12}',
    ],
    ids=["counted", "chunked", "until the end"],
)
def test_a_whole_answer(answer: bytes) -> None:
    assert asked(answer)[0] == {"n": 12}


def test_a_body_makes_it_a_post() -> None:
    assert asked(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")[1].startswith(
        b"GET /payments HTTP/1.1\r\n"
    )
    _, head = asked(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", {"since": 1})
    assert head.startswith(b"POST /payments HTTP/1.1\r\n")
    assert b"Content-Length: 12\r\n" in head


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{"n": 1', "closed before the whole answer"),
        (
            b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\n{"n": 1',
            "closed before the whole answer",
        ),
        (b"HTTP/1.1 20", "closed before the whole answer"),
        (b"+PONG\r\n", "http://127.0.0.1:"),
        (b"HTTP/1.1 503 Down\r\ncontent-length: 4\r\n\r\nlate", "503 late"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", "no JSON object"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{]", "/payments: "),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\xfe", "/payments: "),
    ],
)
def test_anything_else_is_no_answer(answer: bytes, why: str) -> None:
    found, _ = asked(answer)
    assert isinstance(found, NoAnswer)
    assert why in str(found)


def test_silence_ends_within_its_limit() -> None:
    found, _ = asked(b"", within_s=0.2)
    assert "no answer within 0.2 s" in str(found)


def test_a_document_of_a_service_that_is_not_there_is_none() -> None:
    assert asyncio.run(document(Address("127.0.0.1", 1), "/health", "web", 1.0)) is None
