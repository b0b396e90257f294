"""One open connection to a service: asked before a fault and again after it, it tells what became of it.

    position ──Line──► link's listening address ──proxy──► service        the caller's way
    position ──Line──► service                                            direct

A question and its end are told apart the way the kernel does: answered, silent, closed (FIN), reset (RST).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from chaoskit.clock import monotonic_ns
from chaoskit.model.estate import Address

Kind = Literal["answered", "silent", "closed", "reset", "refused", "unreachable"]
Way = Literal["requests", "answers"]


@dataclass(frozen=True)
class Answer:
    """What came of one look: when it began, when its outcome was known (CLOCK_MONOTONIC ns), payload bytes moved."""

    kind: Kind
    asked_ns: int
    at_ns: int
    detail: str = ""
    bytes: int = 0

    @property
    def took_ns(self) -> int:
        return self.at_ns - self.asked_ns


class NoLine(Exception):
    """A connection could not be opened; `answer` says how it failed."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.detail or answer.kind)
        self.answer = answer


class Line(ABC):
    """An open connection. `can_ask` is False where the protocol is not known: then only its end can be seen."""

    can_ask: ClassVar[bool] = True

    @abstractmethod
    async def ask(self, within_s: float) -> Answer:
        """One small question of the service's own protocol. Never raises for what the other side does."""

    @abstractmethod
    async def move(self, size: int, way: Way, within_s: float) -> Answer:
        """Move about `size` bytes towards the service (`requests`) or from it (`answers`); `bytes` says how many."""

    @abstractmethod
    async def ending(self, within_s: float) -> Answer:
        """Wait, without asking anything, for the connection's end: closed or reset, else silent."""

    @abstractmethod
    def close(self) -> None:
        """Let go; never waits."""


class RawLine(Line):
    """A TCP connection to a service whose protocol is not known or does not matter."""

    can_ask = False

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: Address, within_s: float) -> RawLine:
        """Connect. Raises NoLine."""
        reader, writer = await connect(address, within_s)
        return cls(reader, writer)

    async def ask(self, within_s: float) -> Answer:
        return await self.ending(within_s)

    async def move(self, size: int, way: Way, within_s: float) -> Answer:
        return await self.ending(within_s)

    async def ending(self, within_s: float) -> Answer:
        return await watch_end(self._reader, within_s)

    def close(self) -> None:
        self._writer.transport.abort()


async def connect(address: Address, within_s: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TCP connection. Raises NoLine, whose kind tells refused from silent from closed."""
    asked = monotonic_ns()
    try:
        async with asyncio.timeout(within_s):
            return await asyncio.open_connection(address.host, address.port)
    except TimeoutError:
        raise NoLine(
            Answer("silent", asked, monotonic_ns(), f"no connection within {within_s:g} s")
        ) from None
    except ConnectionRefusedError:
        raise NoLine(Answer("refused", asked, monotonic_ns(), "connection refused")) from None
    except OSError as error:
        kind: Kind = "reset" if isinstance(error, ConnectionResetError) else "unreachable"
        raise NoLine(Answer(kind, asked, monotonic_ns(), error.strerror or str(error))) from error


async def watch_end(reader: asyncio.StreamReader, within_s: float) -> Answer:
    """Read what may still come until the end; `silent` when there is none within the deadline."""
    asked = monotonic_ns()
    try:
        async with asyncio.timeout(within_s):
            while await reader.read(65536):
                pass
    except TimeoutError:
        return Answer("silent", asked, monotonic_ns(), f"still open after {within_s:g} s")
    except ConnectionResetError:
        return Answer("reset", asked, monotonic_ns(), "connection reset by peer")
    except OSError as error:
        return Answer("closed", asked, monotonic_ns(), str(error))
    return Answer("closed", asked, monotonic_ns(), "closed by the other side")
