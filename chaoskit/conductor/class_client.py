"""A class of the user's own as a journey: what it does is recorded, and nothing it does goes unnoticed.

An exception is unknown, with its text. At its limit an attempt ends whether the class heeds the cancellation or not. A
step that holds the loop (a blocking call, a long computation) is the measurer's fault on record.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from chaoskit.clock import Clock
from chaoskit.conductor.pool import Line, Pool, PooledExchange
from chaoskit.errors import InputError
from chaoskit.model.estate import Address
from chaoskit.model.operation import MEASURER_AT_FAULT
from chaoskit.model.own import Answer, OwnJourney

BLOCKED_NS = 50_000_000
"""A step that takes longer without awaiting anything has held up every other customer."""
_UNREACHED = frozenset((errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH))
T = TypeVar("T")


class ClassTarget(Pool):
    """Instances of one class, each a connection."""

    def __init__(
        self, address: Address, make: Callable[[], OwnJourney], name: str, *, keep: bool, clock: Clock
    ) -> None:
        super().__init__(keep=keep, clock=clock)
        self._address, self._make, self._name = address, make, name

    async def open(self, exchange: PooledExchange) -> Line | None:
        """An instance that has connected. Refused or unreachable is `connect`; anything else is in doubt."""
        line = ClassLine(self._name, self.clock)
        try:
            line.own = self._make()
            await _Stepped(line.own.connect(self._address), line)
        except (asyncio.CancelledError, KeyboardInterrupt):
            line.drop()
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit of a class must not end the measurer
            unreached = isinstance(error, OSError) and error.errno in _UNREACHED
            line.fail(exchange, error, "connect" if unreached else "raised")
            line.drop()
            return None
        exchange.reached = True
        return line


class ClassLine(Line):
    """One instance."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.own: OwnJourney | None = None
        self.held_ns = 0
        self.clock = clock
        self._name = name
        self._broken = False

    @property
    def usable(self) -> bool:
        return not self._broken

    async def carry(self, exchange: PooledExchange) -> None:
        assert self.own is not None
        exchange.send()
        self._broken = True  # until it has answered
        try:
            answer = await _Stepped(self.own.attempt(exchange.message), self)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as in `open`
            self.fail(exchange, error, "raised")
            return
        if not isinstance(answer, Answer) or answer.outcome not in ("ok", "fail", "unknown"):
            self.fail(exchange, TypeError(f"attempt returned {answer!r}, not an Answer"), "raised")
        elif self.held_ns >= BLOCKED_NS:
            self.fail(exchange, None, "blocked")
        else:
            self._broken = answer.outcome == "unknown"
            exchange.end(
                "answered", outcome=answer.outcome, detail=answer.error or "", read=dict(answer.read)
            )

    def fail(self, exchange: PooledExchange, error: BaseException | None, ending: Any) -> None:
        """End the exchange; whose fault it was comes first."""
        if self.held_ns >= BLOCKED_NS:
            held = f"{MEASURER_AT_FAULT}{self._name} held the loop for {self.held_ns / 1e6:.0f} ms"
            exchange.end("blocked", detail=held)
        elif isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL):
            exchange.end(ending, detail=f"{MEASURER_AT_FAULT}{error}")
        else:
            exchange.end(ending, detail=f"{type(error).__name__}: {error}".removesuffix(": "))

    def drop(self) -> None:
        own, self.own = self.own, None
        if own is None:
            return
        try:
            closing = asyncio.get_running_loop().create_task(_closed(own))
        except RuntimeError:  # the loop is gone, and with it every connection
            return
        closing.add_done_callback(lambda task: None if task.cancelled() else task.exception())


async def _closed(own: OwnJourney) -> None:
    async with asyncio.timeout(1.0):
        await own.close()


class _Stepped:
    """Awaits a coroutine and notes its longest step, from one await to the next."""

    def __init__(self, work: Coroutine[Any, Any, T], line: ClassLine) -> None:
        if not asyncio.iscoroutine(work):
            raise TypeError("connect, attempt and close must be written with `async def`")
        self._work, self._line = work, line

    def __await__(self) -> Generator[Any, Any, Any]:
        line, step = self._line, self._work.send
        line.held_ns = 0
        value: Any = None
        while True:
            begun = line.clock()
            try:
                awaited = step(value)
            except StopIteration as end:
                return end.value
            finally:
                line.held_ns = max(line.held_ns, line.clock() - begun)
            try:
                value = yield awaited
            except BaseException as error:  # noqa: BLE001 - thrown on into the coroutine, which it was meant for
                value, step = error, self._work.throw
            else:
                step = self._work.send


def maker_of(own: type[Any], arguments: dict[str, Any], reference: str) -> Callable[[], OwnJourney]:
    """Makes instances. Raises InputError now, if one cannot be made or lacks a method."""
    try:
        own(**arguments)
    except Exception as error:
        raise InputError(f"class {reference}: cannot be made: {type(error).__name__}: {error}") from error
    for method in ("connect", "attempt", "close"):
        if not asyncio.iscoroutinefunction(getattr(own, method, None)):
            raise InputError(f"class {reference}: needs `async def {method}(self, …)`")
    return lambda: own(**arguments)
