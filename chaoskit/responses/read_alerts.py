"""read-alerts: somebody reads the alert feed of a service, and writes down when it said what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from chaoskit.clock import monotonic_ns
from chaoskit.engines import outside
from chaoskit.engines.http_exchange import document
from chaoskit.model.member import ResponseContext, ResponseFailed
from chaoskit.model.outsiders import ADDRESSES, NETWORKS, outsiders
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_LASTS = Duration.parse("6s")
_ASK_S = 1.0
_LOOK_S = 0.05
_LONGER_NS = (outside.SECONDS_MAX + 10) * 10**9
_KINDS = ("alert", "block")
_COUNTS = ("asked", "refused", "failed", "let_in")


@register("responses", "read-alerts")
@dataclass(frozen=True)
class ReadAlerts:
    """Reads the feed of the service named by `on:` again and again for `lasts`, and on until no attack goes on
    any more; records each new entry once.

    `GET <watch>` answers `{alerts: [{kind, what, source, customer, at_ns}], sources: {address: {asked, refused, failed,
    let_in}}}`: `kind` is `alert` (something looks wrong) or `block` (it is turned away from now on), `at_ns` the
    machine's CLOCK_MONOTONIC, and `sources` what it has counted by source. The counts of the attacks' addresses
    (198.51.100.0/24 for floods, 203.0.113.0/24 for tried log-ins, 192.0.2.0/24 for injections) are recorded as well,
    when the first of them is blocked and at the end. It does nothing about what it reads: the service defends itself,
    or does not.

    The feed's own word for an instant counts where it can be true: not later than the entry was read, and not earlier
    than the last look at which it was not there yet.

    A feed that could not be read at the end fails the response.
    Fidelity on `local`: (and `docker`) the reference bank's own feed, of its variant `guarded`.

        timeline:
          - {at: 1s, fault: attack.flood, on: gateway, path: /log-in}
          - {at: 1s, respond: read-alerts, on: gateway, lasts: 6s}
    """

    lasts: Annotated[Duration, Field(description="for how long at least, up to 5m")] = _LASTS
    watch: Annotated[outside.RequestPath, Field(description="path of the feed")] = "/watch"
    requires: ClassVar[frozenset[str]] = frozenset({"outsiders"})
    recovers: ClassVar[bool] = False

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError for what cannot work in this system, while planning."""
        if len(on) != 1 or on[0] not in system.services:
            raise ValueError("`read-alerts` needs `on:` with the one service that has the feed")
        if not 0 < self.lasts.s <= 300:
            raise ValueError(f"`lasts` is {self.lasts}; more than 0 and up to 5m")

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        service, until = on[0], monotonic_ns() + self.lasts.ns
        told: set[str] = set()
        shown: Any = None
        blocked = False
        looked: int | None = None  # when the feed was asked last, and answered
        while True:
            # Asked before the last look: what an attack did until its end, that look has seen.
            begun, busy = monotonic_ns(), await outsiders(context.estate).busy()
            last = begun >= until + (_LONGER_NS if busy else 0)
            shown = await document(context.estate.direct(service), self.watch, service, _ASK_S)
            seen = monotonic_ns()
            for entry in _entries(shown):
                if (words := json.dumps(entry, sort_keys=True)) not in told:
                    told.add(words)
                    self._tell(service, entry, (looked, seen), context)
            if not blocked and any(map(_blocks, _entries(shown))) and (so_far := _counts(shown)) is not None:
                blocked = True
                # Not the last reading, whoever is left: what is counted from here on came after the block.
                context.record("attack-counts", service=service, busy=True, **so_far)
            looked = begun if isinstance(shown, dict) else looked
            if last:
                break
            await asyncio.sleep(_LOOK_S)  # the feed of somebody else's service tells nobody that it has grown
        counts = _counts(shown)
        if counts is None:
            raise ResponseFailed(f"{service} does not say at {self.watch} what it saw")
        context.record("attack-counts", service=service, busy=busy, **counts)

    def _tell(
        self, service: str, entry: dict[str, Any], between: tuple[int | None, int], context: ResponseContext
    ) -> None:
        at, (looked, seen) = entry.get("at_ns"), between
        believed = type(at) is int and (looked or 0) <= at <= seen
        context.record(
            "attack-alert",
            service=service,
            says=entry["kind"],
            what=str(entry.get("what") or ""),
            source=str(entry.get("source") or ""),
            customer=None if entry.get("customer") is None else str(entry["customer"]),
            at=at if believed else seen,
            # What it says for itself was not there yet then: it came about at some time between the two looks.
            since=at if believed else looked,
            seen=seen,
        )


def _entries(shown: Any) -> list[dict[str, Any]]:
    found = shown.get("alerts") if isinstance(shown, dict) else None
    if not isinstance(found, list):
        return []
    return [one for one in found if isinstance(one, dict) and one.get("kind") in _KINDS]


def _blocks(entry: dict[str, Any]) -> bool:
    return entry["kind"] == "block" and str(entry.get("source") or "").startswith(ADDRESSES)


def _counts(shown: Any) -> dict[str, Any] | None:
    """The counts of the attacks' addresses together, and of each; None where the service does not say."""
    found = shown.get("sources") if isinstance(shown, dict) else None
    if not isinstance(found, dict):
        return None
    theirs = {
        source: {name: counts[name] if isinstance(counts.get(name), int) else 0 for name in _COUNTS}
        for source, counts in found.items()
        if source.startswith(ADDRESSES) and isinstance(counts, dict)
    }
    together = {name: sum(counts[name] for counts in theirs.values()) for name in _COUNTS}
    return {**together, "sources": theirs, "networks": NETWORKS}
