"""The looks at a pair: each is an event, and a run goes on until one shows that redundancy is back."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.clock import monotonic_ns
from chaoskit.conductor import redundancy_watch
from chaoskit.conductor.redundancy_watch import RedundancyWatch
from chaoskit.engines.redundancy import Sight

ROLE = SimpleNamespace(primary="db", standby="db-standby")


class Looked:
    """A stage whose pair shows what it is told to, and the events that were recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, asked: bool = True) -> None:
        self.shows: dict[str, Any] = {"writer": None, "at": 0, "replayed": None}
        self.events: list[dict[str, Any]] = []
        drill = SimpleNamespace(objectives={"redundancy-restored": None} if asked else {})
        plan = SimpleNamespace(drill=drill, system=SimpleNamespace(roles={"database": ROLE}))
        self.watch = RedundancyWatch(self._stage(plan))
        monkeypatch.setattr(redundancy_watch, "EVERY_S", 0.001)
        monkeypatch.setattr(redundancy_watch.redundancy, "look", self._look)

    def _stage(self, plan: Any) -> Any:
        async def sleep_until(at_ns: int) -> None:
            await asyncio.sleep(max(0.0, at_ns - monotonic_ns()) / 1e9)

        def record(kind: str, **data: Any) -> None:
            self.events.append({"kind": kind, **data})

        recorder = SimpleNamespace(record=record)
        return SimpleNamespace(
            plan=plan, estate=None, recorder=recorder, clock=monotonic_ns, sleep_until=sleep_until
        )

    async def _look(self, *_: Any) -> Sight:
        asked = monotonic_ns()
        await asyncio.sleep(0)
        return Sight(asked, monotonic_ns(), True, **self.shows)

    async def after_looks(self, count: int) -> None:
        before = len(self.events)
        async with asyncio.timeout(5):
            while len(self.events) < before + count:  # noqa: ASYNC110 - as for those outside, no event tells
                await asyncio.sleep(0.001)


def test_a_run_ends_upon_a_look_after_all_was_done_that_shows_a_standby_that_caught_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        looked = Looked(monkeypatch)
        following = asyncio.create_task(looked.watch.follow())
        await looked.after_looks(2)
        assert not looked.watch.restored()
        assert looked.watch.missing() == ["the standby of database"]
        looked.shows = {"writer": "db-standby", "at": 100, "replayed": 90}
        await looked.after_looks(3)
        assert not looked.watch.restored()
        looked.shows = {"writer": "db-standby", "at": 200, "replayed": 99}
        await looked.after_looks(3)
        assert not looked.watch.restored()
        looked.shows = {"writer": "db-standby", "at": 300, "replayed": 100}
        await looked.after_looks(3)
        assert looked.watch.restored()
        following.cancel()
        assert {event["kind"] for event in looked.events} == {"redundancy.look"}
        assert looked.events[-1]["writer"] == "db-standby"

    asyncio.run(main())


def test_a_look_from_before_everything_was_done_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        looked = Looked(monkeypatch)
        looked.shows = {"writer": "db", "at": 100, "replayed": 100}
        following = asyncio.create_task(looked.watch.follow())
        await looked.after_looks(3)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert not looked.watch.restored()

    asyncio.run(main())


def test_it_must_catch_up_with_what_was_written_when_everything_was_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It streamed, and was level with the primary, while `rejoin` was still at work."""

    async def main() -> None:
        looked = Looked(monkeypatch)
        looked.shows = {"writer": "db-standby", "at": 50, "replayed": 50}
        following = asyncio.create_task(looked.watch.follow())
        await looked.after_looks(3)
        looked.shows = {"writer": "db-standby", "at": 60, "replayed": 55}
        assert not looked.watch.restored()
        await looked.after_looks(3)
        assert not looked.watch.restored()
        looked.shows = {"writer": "db-standby", "at": 70, "replayed": 60}
        await looked.after_looks(3)
        assert looked.watch.restored()
        following.cancel()

    asyncio.run(main())


def test_where_the_drill_does_not_ask_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Looked(monkeypatch, asked=False)
    asyncio.run(looked.watch.follow())
    assert looked.events == []
    assert looked.watch.restored()
