"""link.bandwidth: a link carries only so many bytes a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chaoskit.engines.dialect import Position, position_on
from chaoskit.engines.line import Answer, Line, Way
from chaoskit.engines.toxic_plan import Direction, lay, toxics, undo_of
from chaoskit.model.estate import Estate, Toxic
from chaoskit.model.lease import Undo
from chaoskit.model.member import Witness
from chaoskit.quantity import Size
from chaoskit.registry import register

_KB = 1000
_TRANSFER_S = 0.25
_SIZE_MIN, _SIZE_MAX = 2_000, 8_000_000
_SHARE = 0.8
_WITHIN_S = 5.0
_TRIES = 3


@dataclass(frozen=True)
class _Before:
    position: Position
    took_ns: dict[Way, int]
    why: str = ""

    def close(self) -> None:
        """Let go of the connection, where no witness will."""
        self.position.close()


@register("faults", "link.bandwidth")
@dataclass(frozen=True)
class LinkBandwidth:
    """Each connection of a link carries at most `rate` per second, in each direction that is limited.

    Small messages pass as before; what suffers is whatever is large or many: a replication stream, a report, a queue
    that drains.

    Witness: a transfer of known size, about a quarter of a second's worth, takes at least 80 % of the time that the
    rate allows it and at least twice its time before the fault, on a connection from before. One that was so slow
    before that it would hide the limit is measured twice more, and the middle one counts. PostgreSQL is asked for a
    long text, HTTP for many answers at once. A callee that cannot be asked for enough, or a rate that the line did not
    reach before, leaves the fault unwitnessed.
    Undo: the toxics are removed; what they hold is delivered at once.
    Fidelity on `local`: (and `docker`) a real limit in the proxy on the caller's way, per connection as a shaper per
    flow would do.

        timeline:
          - at: 0s
            fault: link.bandwidth
            on: ledger-db-standby -> ledger-db
            rate: 64KB
            for: 30s
    """

    rate: Annotated[
        Size,
        Field(description="bytes per second, per connection and direction; whole KB (1,000 bytes) from 1KB"),
    ]
    direction: Annotated[
        Direction, Field(description="what is limited: requests to the callee, its answers, or both")
    ] = "both"
    requires: ClassVar[frozenset[str]] = frozenset({"links"})
    targets: ClassVar[Literal["service", "link"]] = "link"
    undo_reach: ClassVar[Literal["kind", "alike"]] = "alike"

    def __post_init__(self) -> None:
        if self.rate.bytes % _KB or not _KB <= self.rate.bytes <= 100_000_000_000:
            raise ValueError(
                f"rate is {self.rate}; write whole KB (1,000 bytes) per second, from 1KB to 100GB"
            )

    async def baseline(self, target: str, estate: Estate) -> _Before:
        position = await position_on(target, estate, asks=1)
        try:
            return await self._measure(position)
        except BaseException:
            position.close()
            raise

    async def _measure(self, position: Position) -> _Before:
        took: dict[Way, int] = {}
        if position.line is None or not position.line.can_ask:
            return _Before(position, took, position.why or position.mute)
        for way in self._ways():
            answer = await self._usual(position.line, way)
            if answer.kind != "answered":
                return _Before(
                    position, took, f"a transfer before the fault was {answer.kind}: {answer.detail}"
                )
            took[way] = answer.took_ns
        return _Before(position, took)

    async def _usual(self, line: Line, way: Way) -> Answer:
        """A transfer as they are before the fault; one that a busy machine held up does not speak for them."""
        first = await line.move(self._size(), way, _WITHIN_S)
        if first.kind != "answered" or 2 * first.took_ns <= _SHARE * self._fair_ns(first):
            return first
        answers = [first]
        while len(answers) < _TRIES:
            answers.append(await line.move(self._size(), way, _WITHIN_S))
            if answers[-1].kind != "answered":
                return answers[-1]
        return sorted(answers, key=lambda answer: answer.took_ns)[_TRIES // 2]

    async def undo(self, target: str, estate: Estate) -> Undo:
        return undo_of(target, self._toxics())

    async def apply(self, target: str, estate: Estate) -> None:
        await lay(estate.links, target, self._toxics())

    async def witness(self, target: str, estate: Estate, baseline: Any) -> Witness:
        before: _Before = baseline
        try:
            return await self._look(before)
        finally:
            before.position.close()

    async def _look(self, before: _Before) -> Witness:
        line = before.position.line
        if line is None or before.why:
            return Witness(False, None, before.why)
        told, seen_ns = [], 0
        for way, took_ns in before.took_ns.items():
            answer = await line.move(self._size(), way, 4 * self._size() / self.rate.bytes + _WITHIN_S)
            if answer.kind != "answered":
                return Witness(False, None, f"a transfer was {answer.kind}: {answer.detail}")
            times = (
                f"{answer.bytes} bytes of {way} in {answer.took_ns / 1e9:.3f} s, {took_ns / 1e9:.3f} s before"
            )
            if answer.took_ns < max(_SHARE * self._fair_ns(answer), 2 * took_ns):
                return Witness(
                    False, None, f"{times}: no limit of {self.rate} a second can be told from that"
                )
            told.append(times)
            seen_ns = answer.at_ns
        return Witness(True, seen_ns, "; ".join(told))

    def _fair_ns(self, answer: Answer) -> float:
        return answer.bytes * 1e9 / self.rate.bytes

    def _size(self) -> int:
        return int(min(_SIZE_MAX, max(_SIZE_MIN, self.rate.bytes * _TRANSFER_S)))

    def _ways(self) -> tuple[Way, ...]:
        return ("requests", "answers") if self.direction == "both" else (self.direction,)

    def _toxics(self) -> tuple[Toxic, ...]:
        return toxics("bandwidth", self.direction, {"rate": self.rate.bytes // _KB})
