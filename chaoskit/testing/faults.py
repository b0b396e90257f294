"""Faults as context managers: what is broken when the block begins is mended when it ends, whatever happens in it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Protocol, Self

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Toxic
from chaoskit.model.member import Witness
from chaoskit.model.plan import PlannedStep
from chaoskit.testing import asked
from chaoskit.testing.live import Live, Standing

BEGIN_WITHIN_S = 90.0
END_WITHIN_S = 180.0


class Unwitnessed(EnvironmentBroken):
    """A fault was applied, and nothing but the injector has seen its effect: what the test shows proves nothing."""


class Doing(Protocol):
    """Runs something on the estate's own loop and waits for it."""

    def do(self, work: Any, within_s: float) -> Any: ...


class _Block:
    """`with` and `async with`; `begin` and `end` by hand."""

    def begin(self) -> Self:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.begin)

    async def __aexit__(self, *how: object) -> None:
        await asyncio.shield(asyncio.to_thread(self.end))


class Broken(_Block):
    """A fault that stands from `begin` to `end`. A service that it killed is started again at the end.

    `witnesses` says of each target what something other than the injector saw.
    """

    def __init__(self, estate: Doing, step: PlannedStep, *, witnessed: bool) -> None:
        self.step = step
        self.witnesses: dict[str, Witness] = {}
        self._estate = estate
        self._must = witnessed
        self._id, self._times = step.id, 0

    @property
    def witnessed(self) -> bool:
        """Whether its effect was seen on every target by something other than the injector."""
        return bool(self.witnesses) and all(one.seen for one in self.witnesses.values())

    def begin(self) -> Self:
        """Break it. Raises EnvironmentBroken if it cannot be done, Unwitnessed if nobody has seen its effect; then it
        has been mended again. InputError while it stands.
        """

        async def work(live: Live, customers: object) -> Standing:
            asked.refuse_unprepared(self.step, live.plan)
            live.refuse_standing(self.step)
            self._times += 1
            if self._times > 1:  # leases and witnesses of its own, as of any other fault
                self.step = self.step.model_copy(update={"id": f"{self._id}-{self._times}"})
            return await live.begin(self.step)

        standing: Standing = self._estate.do(work, BEGIN_WITHIN_S)
        self.witnesses = standing.witnesses
        if self._must and not self.witnessed:
            self.end()
            said = "; ".join(f"{target}: {one.how}" for target, one in standing.unwitnessed.items())
            raise Unwitnessed(
                f"nobody has seen {self.step.name} take effect: {said}. Whatever a test shows under it proves "
                "nothing; with witnessed=False it goes on all the same"
            )
        return self

    def end(self) -> None:
        """Mend it; harmless when that was done. Raises EnvironmentBroken if it cannot be undone."""
        step = self.step

        async def work(live: Live, customers: object) -> None:
            await live.end(step)
            services = [target for target in step.on if "->" not in target]
            await live.revive(services)

        self._estate.do(work, END_WITHIN_S)


class Laid(_Block):
    """A toxic by Toxiproxy's own name, read back when it is laid. No witness knows what callers notice of it."""

    def __init__(self, estate: Doing, link: str, toxic: Toxic) -> None:
        self._estate, self._link, self.toxic = estate, link, toxic

    def begin(self) -> Self:
        """Lay it. Raises ValueError for attributes that Toxiproxy does not take."""

        async def work(live: Live, customers: object) -> None:
            live.touched = True
            live.recorder.record("toxic.laid", link=self._link, toxic=self.toxic.name)
            await live.estate.links.add_toxic(self._link, self.toxic)

        self._estate.do(work, BEGIN_WITHIN_S)
        return self

    def end(self) -> None:
        """Take it off; harmless when that was done."""

        async def work(live: Live, customers: object) -> None:
            await live.estate.links.remove_toxic(self._link, self.toxic.name)
            live.recorder.record("toxic.removed", link=self._link, toxic=self.toxic.name)

        self._estate.do(work, END_WITHIN_S)
