"""attack.injection: somebody outside writes SQL where a customer would write a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from chaoskit.engines import outside
from chaoskit.engines.filling import filled
from chaoskit.model.estate import Estate
from chaoskit.model.preparation import Preparation
from chaoskit.model.system import System
from chaoskit.registry import register

_NAME = "attack.injection"
_SEEN = 4
_USUAL = (
    "' OR '1'='1",
    "' OR 1=1 --",
    "') OR ('1'='1",
    "') OR 1=1 --",
    "')) OR 1=1 --",
    "' UNION SELECT '{user}' --",
    "'); DROP TABLE customers --",
)
"""Each closes the text, and perhaps a bracket, that a statement put together from pieces would have opened."""


@register("faults", _NAME)
@dataclass(frozen=True)
class AttackInjection(outside.FromOutside):
    """A program outside sends every one of `payloads` in place of `{payload}`, for one of `customers` after the other.

    A service that puts its statements together from pieces of text runs what it was sent; one that binds parameters
    looks for a customer with a strange password, and finds none. Where a request lets it in (2xx with a `token`) the
    session is used once: `then`. At most 500 a second, 32 at a time, 10,000 in all; more is refused while planning.

    Witness: what the service itself counts by source, read directly at `watch`, as `{"sources": {address: {"asked":
    n}}}`: 4 more from the attack's addresses, 192.0.2.0/24.
    Undo: the program is ended, and dies with the run in any case, also when chaoskit itself is killed. What it did to
    the run's own data stays done: the books say so.
    Fidelity on `local`: (and `docker`) real requests from one process of this machine; the addresses are what it says.

        timeline:
          - at: 1s
            fault: attack.injection
            on: gateway
            path: /log-in
            json: {customer: "{user}", password: "{payload}"}
            pool: account
            then: {path: /transfers, json: {id: "{key}", from: "{customer}", to: ACC-00400, amount: "1.00"}}
    """

    path: Annotated[outside.RequestPath, Field(description="where the requests go")]
    json: Annotated[dict[str, Any], Field(description="body; `{user}` and `{payload}` are filled in")]
    pool: Annotated[str, Field(description="pool of the population whose last members are named as `{user}`")]
    payloads: Annotated[
        tuple[str, ...],
        Field(
            min_length=1,
            max_length=200,
            description="texts; `{user}` is filled in; default: seven usual ones",
        ),
    ] = _USUAL
    customers: Annotated[int, Field(description="how many members of the pool take turns")] = 8
    then: Annotated[
        outside.Then | None,
        Field(
            description="what a session is used for; `{key}`, and what the log-in's answer names, are filled in"
        ),
    ] = None
    rate: Annotated[int, Field(description="requests a second, up to 500")] = 10
    sources: Annotated[int, Field(description="addresses it says it comes from, up to 200")] = 1
    watch: Annotated[
        outside.RequestPath, Field(description="path at which the service says what it counts")
    ] = "/watch"
    name: ClassVar[str] = _NAME
    seen: ClassVar[int] = _SEEN
    stays: ClassVar[str | None] = "what the service was made to do to the run's own data stays done"

    def __post_init__(self) -> None:
        count = len(self.payloads)
        outside.bounded(
            rate=self.rate, count=count, seconds=max(1.0, count / self.rate), comes_from=self.sources
        )
        if count < _SEEN:
            raise ValueError(f"{count} requests are too few to be seen; at least {_SEEN}")
        if self.customers < 1:
            raise ValueError(f"customers is {self.customers}; at least 1")
        outside.named(self.json, "payload")

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that customers do not reach, and a pool that is not there."""
        outside.customers_link(target, system)
        outside.pool(self.pool, self.customers, system)
        return ()

    async def apply(self, target: str, estate: Estate) -> None:
        users = outside.pool(self.pool, self.customers, estate.plan.system)
        sent = []
        for number, payload in enumerate(self.payloads):
            user = users[number % len(users)]
            known = {"user": user, "payload": payload.replace("{user}", user)}
            sent.append((known, filled(self.json, known)))
        orders = {
            "rate": self.rate,
            "within_s": outside.SECONDS_MAX,
            "count": len(sent),
            "method": "POST",
            "path": self.path,
            "attempts": outside.spread(_NAME, sent, self.sources),
            "then": self.then,
        }
        await outside.begin(_NAME, target, estate, orders)
