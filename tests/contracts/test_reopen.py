"""A system that was opened again has a backup to fall back on, or the step that opened it says that it has none."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.model.member import ResponseFailed
from chaoskit.model.security import Kept, isolating
from chaoskit.model.system import Link
from chaoskit.quantity import Duration
from chaoskit.responses import reopen


def estate(sound: bool, cuts: dict[str, set[str]] | None = None) -> Any:
    role = SimpleNamespace(primary="db", standby=None)
    system = SimpleNamespace(
        links=[Link.parse("shop -> db"), Link.parse("gateway -> shop")],
        roles={"database": role},
        backups={"nightly": SimpleNamespace(of="database")},
    )

    async def nothing(*_: object) -> None:
        return None

    async def take(_: str) -> Kept:
        return Kept(sound, "" if sound else "base.tar: its checksum differs", 1, 1, 0.0, 2)

    async def connect(link: str, enabled: bool, by: str) -> None:
        assert enabled
        if cuts is not None:
            cuts[link].discard(by)

    return SimpleNamespace(
        plan=SimpleNamespace(system=system),
        lifecycle=SimpleNamespace(stop=nothing, start=nothing),
        links=SimpleNamespace(enable=connect),
        backups=SimpleNamespace(take=take),
        direct=lambda name: name,
    )


@pytest.fixture(autouse=True)
def _unharmed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: object) -> Any:
        return {}

    async def no_refusal(*_: object) -> int:
        return 0

    monkeypatch.setattr(reopen, "marked_rows", none)
    monkeypatch.setattr(reopen, "_refusals", no_refusal)


@pytest.mark.parametrize("sound", [True, False])
def test_a_new_generation_that_is_not_sound_fails_it(sound: bool) -> None:
    facts: list[str] = []
    context: Any = SimpleNamespace(estate=estate(sound), record=lambda fact, **_: facts.append(fact))
    opened = reopen.Reopen(rotate=False, watch=Duration.parse("1ms")).run(["shop"], context)
    if sound:
        asyncio.run(opened)
    else:
        with pytest.raises(ResponseFailed, match=r"generation of the backup nightly is not sound: base\.tar"):
            asyncio.run(opened)
    assert facts == ["opened", "watched", "backed-up"]


def test_the_line_to_a_neighbour_that_is_still_isolated_stays_cut() -> None:
    cuts = {
        "shop -> db": {isolating("shop"), isolating("db")},
        "gateway -> shop": {isolating("shop"), "fault"},
    }
    context: Any = SimpleNamespace(estate=estate(True, cuts), record=lambda *_, **__: None)
    asyncio.run(reopen.Reopen(rotate=False, watch=Duration.parse("1ms")).run(["shop"], context))
    assert cuts == {"shop -> db": {isolating("db")}, "gateway -> shop": {"fault"}}
