"""A customer's request, ready to send: key, drawn values, the message, and what the books must later say of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from chaoskit.conductor.class_message import ClassMessages
from chaoskit.conductor.draw import Deck, Drawn, Template, Values
from chaoskit.conductor.http_message import HttpMessages
from chaoskit.conductor.sql_message import SqlMessages
from chaoskit.model.journey import Between, Draw, Journey
from chaoskit.model.population import Population

_DRAWS_MAX = 20
"""So often a different payload is looked for."""


class Request(msgspec.Struct, frozen=True):
    """One operation's request; a retry and a double tap send the very same message."""

    journey: str
    key: str
    message: Any
    payload_hash: str | None
    amount: int | None
    currency: str | None
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes keys and draws the same in every run of one plan, and different between the two measurers."""

    source: str
    seed: int
    salt: str = ""

    def stream(self, journey: str, purpose: str) -> str:
        """Seed of one stream of chance; each has its own, so that a change to one journey leaves the others
        as they were."""
        return f"{self.seed}/{self.source}/{journey}/{purpose}"

    def key(self, journey: str, number: int) -> str:
        """UUID (version 4 by form, made from the seed) of the journey's n-th operation."""
        text = f"{self.seed}/{self.salt}/{self.source}/{journey}/{number}"
        digest = bytearray(hashlib.blake2b(text.encode(), digest_size=16).digest())
        digest[6] = (
            digest[6] & 0x0F | 0x40
        )  # version and variant (RFC 9562); uuid.UUID says the same three times slower
        digest[8] = digest[8] & 0x3F | 0x80
        made = digest.hex()
        return f"{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:]}"


class Messages(Protocol):
    """Makes a journey's messages, in the form that its target sends, and what a hash is made of."""

    def make(self, values: Values) -> tuple[Any, bytes]: ...


def _messages(journey: Journey, known: frozenset[str], where: str, host: str, *, keep: bool) -> Messages:
    if journey.sql is not None:
        return SqlMessages(journey.sql.statement, known, f"{where}.sql.statement")
    if journey.class_ is not None:
        return ClassMessages(journey.good.within.s)
    return HttpMessages(journey, known, where, host, keep=keep)


class RequestMaker:
    """Makes one journey's requests, number 0, 1, 2 …; raises InputError for templates that nothing fills."""

    def __init__(
        self,
        name: str,
        journey: Journey,
        draw: Draw,
        population: Population | None,
        identity: Identity,
        host: str,
        *,
        keep: bool,
    ) -> None:
        self._name = name
        self._identity = identity
        self._draw, self._population = draw, population
        self._deck = Deck(draw, population, identity.stream(name, "values"))
        self._amount = _amount_of(draw)
        known = frozenset(draw) | {"key"}
        where = f"journeys.{name}"
        self._messages = _messages(journey, known, where, host, keep=keep)
        self._fingerprint = (
            None
            if journey.fingerprint is None
            else Template.compile(journey.fingerprint, known, f"{where}.fingerprint")
        )

    def make(self, number: int, given: Values = MappingProxyType({})) -> Request:
        """The journey's n-th request. Values come from one sequence: call with 0, 1, 2 … in this order.

        What is `given` stands in for what would be drawn.
        """
        return self._make(self._identity.key(self._name, number), self._deck.deal(given))

    def other(self, request: Request) -> Request | None:
        """Another payload under that request's key; None where nothing else is ever drawn.

        It is drawn by a chance of its own: the journey's sequence stays as it is, and the same key is misused in the
        same way in every run.
        """
        deck = Deck(self._draw, self._population, self._identity.stream(self._name, f"other/{request.key}"))
        for _ in range(_DRAWS_MAX):
            made = self._make(request.key, deck.deal())
            alike = made.payload_hash == request.payload_hash and made.payload_hash is not None
            if made.values != request.values and not alike:
                return made
        return None

    def _make(self, key: str, drawn: dict[str, Drawn]) -> Request:
        values = {**drawn, "key": Drawn(key)}
        message, signed = self._messages.make(values)
        if self._fingerprint is not None:
            signed = self._fingerprint.fill(values).encode()
        amount = drawn[self._amount] if self._amount is not None else None
        return Request(
            journey=self._name,
            key=key,
            message=message,
            payload_hash=hashlib.sha256(signed).hexdigest() if signed else None,
            amount=amount.minor if amount else None,
            currency=amount.currency if amount else None,
            values={name: value.text for name, value in drawn.items()},
        )


def _amount_of(draw: Draw) -> str | None:
    """The drawn amount that the books will show: the one called `amount`, otherwise the first."""
    amounts = [name for name, rule in draw.items() if isinstance(rule, Between)]
    return "amount" if "amount" in amounts else amounts[0] if amounts else None
