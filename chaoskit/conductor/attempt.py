"""One sending of a customer's request, and the records a journal keeps of it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from msgspec.structs import replace

from chaoskit.conductor.answer import Answer
from chaoskit.conductor.journal_records import Done, Intent
from chaoskit.conductor.outcome import Judged
from chaoskit.conductor.request import Request


class Attempt(msgspec.Struct, frozen=True):
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

    def intent(self, identity: int, woke_ns: int) -> Intent:
        """The record written before the request is sent."""
        request = self.request
        # By position, which costs half of what names do; the order is Intent's.
        return Intent(
            identity,
            request.key,
            request.journey,
            self.number,
            self.tap,
            self.intended_ns,
            woke_ns,
            request.payload_hash,
            request.amount,
            request.currency,
            request.values,
            self.other,
        )

    def missed(self, identity: int, error: str) -> dict[str, Any]:
        """The record of a sending that did not happen."""
        return {
            "r": "missed",
            "id": identity,
            "key": self.request.key,
            "journey": self.request.journey,
            "attempt": self.number,
            "tap": self.tap,
            "intended": self.intended_ns,
            "error": error,
        }


def done(identity: int, woke_ns: int, answer: Answer, result: Judged) -> Done | dict[str, Any]:
    """The record of how a sending ended. `sent` is the first byte's time; where no connection came about, when it was
    tried (only what is missed has no `sent`)."""
    sent_ns = woke_ns if answer.sent_ns is None else answer.sent_ns
    if not result.read:
        return Done(
            identity,
            sent_ns,
            answer.done_ns,
            result.outcome,
            answer.status,
            result.error,
            result.read,
        )
    # What was read may hold a number that is none, which only the encoder of dictionaries writes as it is.
    return {
        "r": "done",
        "id": identity,
        "sent": sent_ns,
        "done": answer.done_ns,
        "outcome": result.outcome,
        "status": answer.status,
        "error": result.error,
        "read": result.read,
    }
