"""One HTTP request and its whole answer, on a connection of its own; on top of it, questions in JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httptools

from chaoskit.engines.line import NoLine, connect
from chaoskit.errors import ChaoskitError
from chaoskit.model.estate import Address

_ANSWER_MAX = 64 * 1024 * 1024


class NoExchange(Exception):
    """No whole answer: refused, silent, cut off, or no HTTP."""


class NoAnswer(ChaoskitError):
    """It did not answer, or not with 2xx and a JSON object."""


class _Answer:
    def __init__(self) -> None:
        self.body = bytearray()
        self.status = 0
        self.complete = False
        self.headed = False
        self.counted = False
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.counted = self.counted or name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.headed = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def exchange(
    address: Address, method: str, path: str, body: bytes = b"", *, host: str, within_s: float
) -> tuple[int, bytes]:
    """(status, body). Raises NoExchange."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: chaoskit\r\nConnection: close\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    answer = _Answer()
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await connect(address, within_s)
            try:
                writer.write(head.encode() + b"\r\n" + body)
                while not answer.complete and len(answer.body) <= _ANSWER_MAX:
                    if not (data := await reader.read(65536)):
                        if not answer.headed or answer.counted:
                            raise NoExchange("closed before the whole answer")
                        answer.complete = True  # of a body whose length nobody told, the end is its end
                        break
                    answer.parser.feed_data(data)
            finally:
                writer.transport.abort()
    except TimeoutError:
        raise NoExchange(f"no answer within {within_s:g} s") from None
    except (NoLine, OSError, httptools.HttpParserError) as error:
        raise NoExchange(str(error) or type(error).__name__) from error
    if not answer.complete:
        raise NoExchange(f"an answer of more than {_ANSWER_MAX >> 20} MB")
    return answer.status, bytes(answer.body)


async def ask_json(
    address: Address, path: str, body: Mapping[str, Any] | None = None, within_s: float = 5.0
) -> dict[str, Any]:
    """What a runbook asks of a service, past every proxy: GET, or POST where there is a body. Raises NoAnswer."""
    path = f"/{path.lstrip('/')}"
    sent = b"" if body is None else json.dumps(dict(body)).encode()
    method = "GET" if body is None else "POST"
    try:
        status, text = await exchange(address, method, path, sent, host=str(address), within_s=within_s)
        if not 200 <= status < 300:
            raise NoAnswer(f"http://{address}{path}: {status} {text[:200].decode(errors='replace')}")
        found = json.loads(text)
    except (NoExchange, ValueError) as error:
        raise NoAnswer(f"http://{address}{path}: {error}") from None
    if not isinstance(found, dict):
        raise NoAnswer(f"http://{address}{path}: no JSON object")
    return found


def key_lists(told: Mapping[str, Any], words: Sequence[str]) -> dict[str, list[str]]:
    """The lists of keys that an answer has under these words; one that it leaves out is empty.

    Raises NoAnswer for an answer with none of them, and for one that is no list: a count, say, of what is in doubt.
    """
    if not any(word in told for word in words):
        raise NoAnswer(f"the answer has none of {', '.join(words)}")
    for word in words:
        if not isinstance(told.get(word, []), list):
            raise NoAnswer(f"`{word}` of the answer is no list of keys: {str(told[word])[:80]}")
    return {word: [str(key) for key in told.get(word, [])] for word in words}


async def document(address: Address, path: str, host: str, within_s: float) -> Any:
    """The answer's JSON whatever its status; None when nobody answers in time, or with something else."""
    try:
        _, text = await exchange(address, "GET", path, host=host, within_s=within_s)
        return json.loads(text)
    except (NoExchange, ValueError):
        return None
