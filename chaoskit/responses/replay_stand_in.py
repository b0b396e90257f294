"""replay-stand-in: what the system accepted while it could not do it is done now, by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from chaoskit.clock import elapsed_ms, monotonic_ns
from chaoskit.engines.http_exchange import NoAnswer, ask_json, key_lists
from chaoskit.model.member import ResponseContext, ResponseFailed, refuse_services
from chaoskit.model.system import Accepted, System
from chaoskit.quantity import Duration
from chaoskit.registry import register

_WITHIN = Duration.parse("60s")
_LISTS = ("booked", "replayed", "double-spent", "refused", "unknown")


@register("responses", "replay-stand-in")
@dataclass(frozen=True)
class ReplayStandIn:
    """The system books, under their keys, the operations that it only accepted while it could not do them.

    It does so from the journal of its own stand-in (`replay:` of the journey's `accepted:`). What had gone through just
    before the failure is left as it is (replayed): none twice. What is no longer covered is listed as double-spent. The
    lists are recorded; chaoskit's own records judge the outcome (`nothing-lost`, `nothing-doubled`,
    `stand-in-within-limit`). Nothing comes back by it for customers, so that it counts as no recovery.

    Fidelity on `local`: (and `docker`) the system's own journal and its own code.

        timeline:
          - when: {recovered: transfer}
            respond: replay-stand-in
    """

    journey: Annotated[
        str | None,
        Field(description="which journey's; not needed where one alone has `accepted:` with `replay:`"),
    ] = None
    within: Annotated[Duration, Field(description="deadline")] = _WITHIN
    requires: ClassVar[frozenset[str]] = frozenset()
    mends_books: ClassVar[bool] = True
    recovers: ClassVar[bool] = False

    def check(self, on: Sequence[str], system: System) -> None:
        """Raises ValueError, while planning, where nobody could replay anything."""
        refuse_services(on, "who replays is said by `replay:` of the journey")
        self._accepted(system)

    async def run(self, on: Sequence[str], context: ResponseContext) -> None:
        estate, begun = context.estate, monotonic_ns()
        journey, accepted = self._accepted(estate.plan.system)
        service, _, path = (accepted.replay or "").partition("/")
        try:
            told = await ask_json(estate.direct(service), path, {}, self.within.s)
            lists = key_lists(told, _LISTS)
        except NoAnswer as error:
            raise ResponseFailed(f"nothing is known to have been replayed: {error}") from error
        context.record(
            "stand-in-replayed",
            journey=journey,
            after_ms=elapsed_ms(begun),
            **lists,
        )
        if lists["unknown"]:
            raise ResponseFailed(
                f"{len(lists['unknown'])} accepted operations are in doubt: replay once more"
            )

    def _accepted(self, system: System) -> tuple[str, Accepted]:
        known = {
            name: one.accepted
            for name, one in system.journeys.items()
            if one.accepted is not None and one.accepted.replay is not None
        }
        name = self.journey if self.journey is not None else next(iter(known), "") if len(known) == 1 else ""
        if name not in known:
            listed = ", ".join(known) or "none"
            raise ValueError(
                f"`journey: {self.journey or '…'}` must be one whose `accepted:` names a `replay:`; known: {listed}"
            )
        return name, known[name]
