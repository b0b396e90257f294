"""One HTTP/1.1 connection, and the exchange it carries from the request's first byte to the end of the answer."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Protocol, cast

import httptools

from chaoskit.clock import Clock
from chaoskit.conductor.answer import Answer, Ending, OnAnswer
from chaoskit.model.operation import MEASURER_AT_FAULT

BODY_KEPT = 256 * 1024
"""Bytes of a body that are kept for reading fields; the rest of a longer one is counted and dropped."""
ANSWER_MAX = 8 * 1024 * 1024
"""Bytes of one answer, headers included, after which it is `too-big` and the connection is cut."""


class Exchange:
    """One request on its way. Ends exactly once, at the latest at its limit."""

    __slots__ = ("_clock", "_on_answer", "connecting", "connection", "request", "sent_ns", "timer")

    def __init__(self, request: bytes, clock: Clock, on_answer: OnAnswer) -> None:
        self.request = request
        self.sent_ns: int | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.connecting: asyncio.Task[None] | None = None
        self.connection: Connection | None = None
        self._clock = clock
        self._on_answer: OnAnswer | None = on_answer

    @property
    def ended(self) -> bool:
        return self._on_answer is None

    def end(self, ending: Ending, *, status: int | None = None, body: bytes = b"", detail: str = "") -> None:
        """Tell the caller; what comes later is dropped."""
        on_answer, self._on_answer = self._on_answer, None
        if on_answer is None:
            return
        if self.timer is not None:
            self.timer.cancel()
        on_answer(Answer(ending, self.sent_ns, self._clock(), status, body, detail))


class Owner(Protocol):
    """Whose connection it is: a Target."""

    clock: Clock
    keep: bool

    def give_back(self, connection: Connection) -> None: ...

    def forget(self, connection: Connection) -> None: ...

    def distrust(self) -> None: ...


class Connection(asyncio.Protocol):
    """One TCP connection; carries one exchange at a time."""

    def __init__(self, target: Owner, exchange: Exchange) -> None:
        self._target = target
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = exchange
        self.idle_since_ns = 0
        self._start_answer()
        self._parser = httptools.HttpResponseParser(self)

    def _start_answer(self) -> None:
        self._received = 0
        self._body: list[bytes] = []
        self._kept = 0
        self._status: int | None = None
        self._framed = False
        self._headers_done = False
        self._complete = False
        self._surplus = False
        self._reusable = False

    # -- as asyncio calls it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by behaviour only
        exchange = self._exchange
        if exchange is None or exchange.ended:
            self._transport.abort()
            return
        self.carry(exchange)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:  # an idle connection has nothing to say: it is out of step
            self.drop()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("garbage", "an upgrade that was not asked for")
            return
        except httptools.HttpParserError as error:
            if not self._complete:
                self._fail("garbage", str(error) or type(error).__name__)
                return
            self._surplus = True
        if self._complete:
            self._finish(keep=self._reusable and not self._surplus)
        elif self._received > ANSWER_MAX:
            self._fail("too-big", f"more than {ANSWER_MAX} bytes")

    def eof_received(self) -> bool:
        if self._exchange is not None and self._headers_done and not self._framed:
            self._finish(keep=False)  # HTTP/1.0: the body ends with the connection (RFC 9112, 6.3)
        elif self._exchange is not None:
            where = "before any byte" if not self._received else "inside the answer"
            self._fail("eof", f"closed {where}")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self._exchange is not None:
            self._fail("reset", plain(error) if error else "closed")
        self._target.forget(self)

    # -- as httptools calls it; after the whole answer nothing counts any more

    def on_message_begin(self) -> None:
        self._surplus = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        self._status = self._parser.get_status_code()
        self._headers_done = True

    def on_body(self, data: bytes) -> None:
        if self._kept < BODY_KEPT and not self._complete:
            self._body.append(data[: BODY_KEPT - self._kept])
            self._kept += len(data)

    def on_message_complete(self) -> None:
        if self._complete:
            return
        if (
            self._status is not None and 100 <= self._status < 200 and self._status != 101
        ):  # interim; the answer proper follows
            received = self._received
            self._start_answer()
            self._received = received
        else:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()  # true only inside this callback

    # -- as the target calls it

    def carry(self, exchange: Exchange) -> None:
        """Write the request."""
        assert self._transport is not None
        self._exchange = exchange
        exchange.connection = self
        self._start_answer()
        # Before the write, so that a hole check never claims more than was seen: sent is never too late.
        exchange.sent_ns = self._target.clock()
        self._transport.write(exchange.request)

    def drop(self) -> None:
        """Cut the connection; nothing is told to anybody."""
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()
        self._target.forget(self)

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _finish(self, *, keep: bool) -> None:
        exchange, self._exchange = self._exchange, None
        status, body = self._status, b"".join(self._body)
        self._body = []
        if keep and self._target.keep and self.usable:
            self._target.give_back(self)
        else:
            self.drop()
        if exchange is not None:
            exchange.end("answered", status=status, body=body)

    def _fail(self, ending: Ending, detail: str) -> None:
        exchange, self._exchange = self._exchange, None
        self.drop()
        self._target.distrust()
        if exchange is not None:
            exchange.end(ending, status=self._status, detail=detail)


_OF_THE_MEASURER = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM))


def plain(error: Exception) -> str:
    """An error in words, without addresses."""
    if isinstance(error, OSError) and error.errno is not None:
        whose = MEASURER_AT_FAULT if error.errno in _OF_THE_MEASURER else ""
        return f"{whose}{type(error).__name__}: {os.strerror(error.errno)}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
