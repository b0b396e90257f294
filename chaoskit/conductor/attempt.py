"""One sending of a customer's request, and the records a journal keeps of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from chaoskit.conductor.answer import Answer
from chaoskit.conductor.outcome import Judged
from chaoskit.conductor.request import Request


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of a request."""

    request: Request
    number: int
    tap: bool
    intended_ns: int
    other: bool = False
    """Another payload under a used key."""

    @property
    def scheduled(self) -> bool:
        """Whether it is an arrival of the schedule, not a repetition."""
        return self.number == 1

    def chance(self, purpose: str) -> float:
        """Uniform in [0, 1), made from the key: the same whatever the order in which answers come."""
        text = f"{self.request.key}/{self.number}/{purpose}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()) / 2**48

    def repeated(self, *, tap: bool) -> Attempt:
        """The next sending of the same bytes; its time is set when it is planned."""
        return replace(self, number=self.number + 1, tap=tap)

    def misused(self, request: Request) -> Attempt:
        """The next sending, with another payload under this key; its time is set when it is planned."""
        return replace(self, request=request, number=self.number + 1, tap=True, other=True)

    def intent(self, identity: int, woke_ns: int) -> dict[str, Any]:
        """The record written before the request is sent."""
        return {
            **self._who("intent", identity),
            "woke": woke_ns,
            "payload_hash": self.request.payload_hash,
            "amount": self.request.amount,
            "currency": self.request.currency,
            "values": self.request.values,
            **({"other": True} if self.other else {}),
        }

    def missed(self, identity: int, error: str) -> dict[str, Any]:
        """The record of a sending that did not happen."""
        return {**self._who("missed", identity), "error": error}

    def _who(self, record: str, identity: int) -> dict[str, Any]:
        return {
            "r": record,
            "id": identity,
            "key": self.request.key,
            "journey": self.request.journey,
            "attempt": self.number,
            "tap": self.tap,
            "intended": self.intended_ns,
        }


def done(identity: int, woke_ns: int, answer: Answer, result: Judged) -> dict[str, Any]:
    """The record of how a sending ended. `sent` is the first byte's time; where no connection came about, when it was
    tried (only what is missed has no `sent`)."""
    return {
        "r": "done",
        "id": identity,
        "sent": woke_ns if answer.sent_ns is None else answer.sent_ns,
        "done": answer.done_ns,
        "outcome": result.outcome,
        "status": answer.status,
        "error": result.error,
        "read": result.read,
    }
