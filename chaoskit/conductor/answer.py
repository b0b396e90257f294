"""How one exchange with the system ended, whatever it was carried by: HTTP, SQL or a class of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

Ending = Literal[
    "answered", "connect", "limit", "reset", "eof", "garbage", "too-big", "error", "raised", "blocked"
]
"""answered: whole · connect: not one byte left · limit: out of time · reset, eof: the connection ended · garbage,
too-big: no answer of the protocol · error: the database refused, see `code` · raised, blocked: the user's own class."""


class Answer(msgspec.Struct, frozen=True):
    """How an exchange ended. `sent_ns` None: not one byte of the request left.

    HTTP: `status` may be known without a whole answer; `body`. SQL: `code` is the SQLSTATE of an error, `read` the
    first row by column. A class of the user's own: `outcome` and `read` as it said.
    """

    ending: Ending
    sent_ns: int | None
    done_ns: int
    status: int | None = None
    body: bytes = b""
    detail: str = ""
    code: str = ""
    read: Mapping[str, Any] = {}
    outcome: Literal["ok", "fail", "unknown"] | None = None


OnAnswer = Callable[[Answer], None]


class Target(Protocol):
    """Where a journey's messages go, with the connections that lead there."""

    def exchange(self, message: Any, limit_ns: int, on_answer: OnAnswer) -> object:
        """Send one message now. `on_answer` is called once, never from inside this call, at the latest after
        `limit_ns`."""
        ...

    def close(self) -> None:
        """Cut every connection; exchanges under way end."""
        ...
