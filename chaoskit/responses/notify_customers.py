"""notify-customers: tells customers what is affected and when to expect it back, and waits until it reached them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.engines.http_exchange import NoExchange, exchange
from chaoskit.model.estate import Estate
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_WITHIN = Duration.parse("10s")
_ASK_S = 2.0
_LOOK_S = 0.05


@register("responses", "notify-customers")
@dataclass(frozen=True)
class NotifyCustomers:
    """Publishes a notice on each of `channels` of the service named by `on:`, and reads the customers' inbox until
    each has arrived.

    The service takes `POST /notices/<channel>` with `{id, text}`, and `GET /inbox` lists what has reached customers:
    `[{id, channel, text, at_ns}]`, with the machine's CLOCK_MONOTONIC. The text is made of the titles of the journeys
    under `affected` and of `back-in`, counted from this notice, unless `text` says something else. What counts
    afterwards is what stands in the inbox: a text message that was cut names only what is left of it.

    A channel that refuses, or that delivers nothing `within`, fails the response, after the others were told.
    Fidelity on `local`: (and `docker`) the reference bank has one stand-in for status page, app and SMS gateway,
    declared under `stand-ins:`; no customer's telephone rings.

        timeline:
          - when: {down: ledger, every: 100ms, misses: 3}
            respond: notify-customers
            on: notices
            channels: [status-page, app, sms]
            affected: [transfer, balance]
            back-in: 10s
    """

    channels: Annotated[
        tuple[str, ...], Field(min_length=1, description="channels of the service, by its names")
    ]
    affected: Annotated[
        tuple[str, ...],
        Field(description="journeys that are named as affected, as the bank believes at that time"),
    ] = ()
    back_in: Annotated[
        Duration | None,
        Field(description="expected recovery, counted from this notice; left out, none is announced"),
    ] = None
    text: Annotated[
        str | None, Field(max_length=2000, description="the whole text, in place of the usual one")
    ] = None
    within: Annotated[Duration, Field(description="until when each channel must have delivered it")] = _WITHIN
    requires: ClassVar[frozenset[str]] = frozenset()
    recovers: ClassVar[bool] = False

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError for what cannot work in this system, while planning."""
        if len(on) != 1:
            raise ValueError("`notify-customers` needs `on:` with the one service that takes notices")
        known = system.journeys
        if unknown := [name for name in self.affected if name not in known]:
            raise ValueError(f"`affected`: no journey is called {unknown[0]!r}; known: {', '.join(known)}")
        if repeated := [one for n, one in enumerate(self.channels) if one in self.channels[:n]]:
            raise ValueError(f"`channels`: {repeated[0]!r} is named twice")

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        estate, service = context.estate, on[0]
        text, asked = self.text or self._text(estate), monotonic_ns()
        told = await asyncio.gather(*(self._tell(one, text, service, context) for one in self.channels))
        failed = [why for why in told if why]
        waiting = {one for one, why in zip(self.channels, told, strict=True) if not why}
        failed += await self._await_delivery(waiting, service, asked, context)
        if failed:
            raise ResponseFailed("; ".join(failed))

    def _text(self, estate: Estate) -> str:
        journeys = estate.plan.system.journeys
        titles = ", ".join(journeys[name].title or name for name in self.affected)
        back = f" Expected back in {self.back_in}." if self.back_in is not None else ""
        return f"Not available at present: {titles or 'some services'}.{back}"

    async def _tell(self, channel: str, text: str, service: str, context: ResponseContext) -> str | None:
        body = json.dumps({"id": self._id(channel, context), "text": text}).encode()
        address = context.estate.direct(service)
        try:
            status, _ = await exchange(
                address, "POST", f"/notices/{channel}", body, host=service, within_s=_ASK_S
            )
        except NoExchange as error:
            return f"{channel} did not take the notice: {error}"
        return None if 200 <= status < 300 else f"{channel} did not take the notice: HTTP {status}"

    async def _await_delivery(
        self, waiting: set[str], service: str, asked: int, context: ResponseContext
    ) -> list[str]:
        limit, looked = asked + self.within.ns, asked
        while waiting and monotonic_ns() < limit:
            begun, inbox = monotonic_ns(), await self._inbox(service, context)
            for notice in inbox or ():
                channel = str(notice.get("channel"))
                if channel in waiting and notice.get("id") == self._id(channel, context):
                    waiting.discard(channel)
                    self._delivered(channel, notice, (asked, looked), context)
            looked = looked if inbox is None else begun
            if waiting:
                await asyncio.sleep(
                    _LOOK_S
                )  # the inbox of somebody else's service tells nobody that it was filled
        return [f"{channel} delivered nothing within {self.within}" for channel in sorted(waiting)]

    async def _inbox(self, service: str, context: ResponseContext) -> list[dict[str, Any]] | None:
        """What has reached customers; None where it did not say."""
        try:
            status, body = await exchange(
                context.estate.direct(service), "GET", "/inbox", host=service, within_s=_ASK_S
            )
            found = json.loads(body) if status == 200 else None
        except (NoExchange, ValueError):
            return None
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else None

    def _delivered(
        self, channel: str, notice: dict[str, Any], between: tuple[int, int], context: ResponseContext
    ) -> None:
        (asked, looked), seen, at = between, monotonic_ns(), notice.get("at_ns")
        # Its own word counts only where it can be true: the last look did not have it yet.
        trusted = isinstance(at, int) and looked <= at <= seen
        context.record(
            "notice",
            channel=channel,
            text=str(notice.get("text") or ""),
            delivered=at if trusted else seen,
            affected=list(self.affected),
            back_in=None if self.back_in is None else str(self.back_in),
            expected=None if self.back_in is None else asked + self.back_in.ns,
        )

    def _id(self, channel: str, context: ResponseContext) -> str:
        return f"{context.estate.run}/{context.step}/{channel}"
