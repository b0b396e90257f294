"""What a journey, or books, of your own are written against: plain values and two small protocols.

    class Put:                                  # system.yaml: class: shop.py:Put
        async def connect(self, address): …     # a customer's connection
        async def attempt(self, call): …        # one operation → Answer
        async def close(self): …

An instance is one connection. The load keeps instances and uses them again while they answer; the prober makes a new
one for each probe, so that a connection which died unnoticed never passes for an outage, nor an old one for service.
All of it runs in the measurer's own loop: whatever waits must be awaited. A step that holds the loop for 50 ms or more
is the measurer's fault on record, and an outage that is timed across it is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from chaoskit.model.estate import Address

Outcome = Literal["ok", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Call:
    """One operation to be done.

    `key`: its idempotency key, the same for each repetition. `values`: what was drawn, as text. `minor`: drawn amounts
    in minor units. `within_s`: how long the customer waits; then the attempt is cancelled and unknown.
    """

    key: str
    values: Mapping[str, str]
    minor: Mapping[str, int]
    within_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """How it ended: `ok` it took effect, `fail` it certainly did not, `unknown` it may have. In doubt: unknown.

    `read`: `value` and `position`, as a journey's `read:` names them, if it was a read. `error`: why it is not ok.
    """

    outcome: Outcome
    error: str | None = None
    read: Mapping[str, Any] = field(default_factory=dict)


class OwnJourney(Protocol):
    """A journey of your own; made with the keyword arguments that system.yaml lists under `with:`.

    An exception from `connect` is fail if the connection was refused or its host unreachable, else unknown; one from
    `attempt` is unknown. Its text is recorded.
    """

    async def connect(self, address: Address) -> None: ...

    async def attempt(self, call: Call) -> Answer: ...

    async def close(self) -> None: ...


class OwnBooks(Protocol):
    """Books of your own; made with the keyword arguments that system.yaml lists under `with:`."""

    async def read(self, estate: Mapping[str, Address]) -> Mapping[str, Iterable[Mapping[str, Any]]]:
        """Every row of each table, by the table's name; `estate`: each service's own address, past every proxy.

        Either {"keys": rows}, or a ledger: {"entries": rows, "balances": rows} and, if there are any, holds and
        transactions. It must change nothing. It is read until two readings in a row are the same. An exception means
        that nobody knows: the verdict is unknown.
        """
        ...


TABLES: dict[str, dict[str, str]] = {
    "keys": {
        "key": "VARCHAR",
        "amount": "BIGINT",
        "currency": "VARCHAR",
        "payload_hash": "VARCHAR",
        "source": "VARCHAR",
    },
    "entries": {
        "entry_id": "VARCHAR",
        "transaction_id": "VARCHAR",
        "key": "VARCHAR",
        "account": "VARCHAR",
        "amount": "BIGINT",
        "currency": "VARCHAR",
    },
    "balances": {"account": "VARCHAR", "currency": "VARCHAR", "opening": "BIGINT", "balance": "BIGINT"},
    "holds": {
        "hold_id": "VARCHAR",
        "key": "VARCHAR",
        "state": "VARCHAR",
        "amount": "BIGINT",
        "currency": "VARCHAR",
    },
    "transactions": {
        "transaction_id": "VARCHAR",
        "key": "VARCHAR",
        "source": "VARCHAR",
        "from_account": "VARCHAR",
        "to_account": "VARCHAR",
        "amount": "BIGINT",
        "currency": "VARCHAR",
        "payload_hash": "VARCHAR",
    },
}
"""Columns of what books hold, with their types; amounts are in minor units. What a row leaves out is empty."""
