"""attack.credential-stuffing: somebody outside tries passwords for customers' log-ins, and uses those that work."""

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

_NAME = "attack.credential-stuffing"
_SEEN = 4


@register("faults", _NAME)
@dataclass(frozen=True)
class AttackCredentialStuffing(outside.FromOutside):
    """A program outside tries each of `guesses` for each of `customers`, one guess after the other for all of them.

    Where a log-in works (2xx with a `token`) it uses the session once: `then`, as a bearer of the token. Spread over
    many `sources` none of them is conspicuous by itself: a limit by source does not see it, and a lock-out does. At
    most 500 a second, 32 at a time, 10,000 in all; more is refused while planning.

    Witness: what the service itself counts by source, read directly at `watch`, as `{"sources": {address: {"asked":
    n}}}`: 4 more from the attack's addresses, 203.0.113.0/24.
    Undo: the program is ended, and dies with the run in any case, also when chaoskit itself is killed. Money that it
    moved is the run's own, and stays moved: the books say so.
    Fidelity on `local`: (and `docker`) real requests from one process of this machine; the addresses are what it says.

        timeline:
          - at: 1s
            fault: attack.credential-stuffing
            on: gateway
            path: /log-in
            json: {customer: "{user}", password: "{guess}"}
            pool: account
            guesses: ["123456", "{user}"]
            then: {path: /transfers, json: {id: "{key}", from: "{customer}", to: ACC-00001, amount: "1.00"}}
    """

    path: Annotated[outside.RequestPath, Field(description="where customers log in")]
    json: Annotated[dict[str, Any], Field(description="body; `{user}` and `{guess}` are filled in")]
    pool: Annotated[str, Field(description="pool of the population whose last members are tried")]
    guesses: Annotated[
        tuple[str, ...], Field(min_length=1, max_length=100, description="passwords; `{user}` is filled in")
    ]
    customers: Annotated[int, Field(description="how many members of the pool")] = 8
    then: Annotated[
        outside.Then | None,
        Field(
            description="what a session is used for; `{key}`, and what the log-in's answer names, are filled in"
        ),
    ] = None
    rate: Annotated[int, Field(description="attempts a second, up to 500")] = 20
    sources: Annotated[int, Field(description="addresses it says it comes from, up to 200")] = 1
    watch: Annotated[
        outside.RequestPath, Field(description="path at which the service says what it counts")
    ] = "/watch"
    name: ClassVar[str] = _NAME
    seen: ClassVar[int] = _SEEN
    stays: ClassVar[str | None] = (
        "money that was moved in a customer's name is the run's own, and stays moved"
    )

    def __post_init__(self) -> None:
        count = self.customers * len(self.guesses)
        outside.bounded(
            rate=self.rate, count=count, seconds=max(1.0, count / self.rate), comes_from=self.sources
        )
        if count < _SEEN:
            raise ValueError(f"{count} attempts are too few to be seen; at least {_SEEN}")
        outside.named(self.json, "user", "guess")

    def prepare(self, target: str, system: System) -> tuple[Preparation, ...]:
        """Nothing; refuses, while planning, a target that customers do not reach, and a pool that is not there."""
        outside.customers_link(target, system)
        outside.pool(self.pool, self.customers, system)
        return ()

    async def apply(self, target: str, estate: Estate) -> None:
        users = outside.pool(self.pool, self.customers, estate.plan.system)
        tried = [
            ({"user": user}, filled(self.json, {"user": user, "guess": guess.replace("{user}", user)}))
            for guess in self.guesses
            for user in users
        ]
        orders = {
            "rate": self.rate,
            "within_s": outside.SECONDS_MAX,
            "count": len(tried),
            "method": "POST",
            "path": self.path,
            "attempts": outside.spread(_NAME, tried, self.sources),
            "then": self.then,
        }
        await outside.begin(_NAME, target, estate, orders)
