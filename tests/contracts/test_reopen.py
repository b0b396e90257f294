"""A system that was opened again has a backup to fall back on, or the step that opened it says that it has none."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.engines.postgresql import Standing
from chaoskit.engines.session import EngineError, Unreachable
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


def two_shops(environments: dict[str, dict[str, str]], changed: list[tuple[str, str]]) -> Any:
    """Two services, each with a database of its own behind it."""
    made = estate(True)
    system = made.plan.system
    system.links = [Link.parse("shop -> db"), Link.parse("till -> cash")]
    system.roles = {
        "database": SimpleNamespace(primary="db", standby=None),
        "money": SimpleNamespace(primary="cash", standby=None),
    }
    made.positions = SimpleNamespace(environment=lambda service: environments[service])
    made.secrets = SimpleNamespace(replace=lambda old, new: changed.append(("env " + old, new)))
    return made


def test_a_log_in_that_two_services_share_is_changed_on_the_databases_of_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed: list[tuple[str, str]] = []

    class Server:
        def __init__(self, address: str, role: Any) -> None:
            self.address = address

        async def change_password(self, user: str, new: str) -> None:
            changed.append((f"{user} on {self.address}", new))

    monkeypatch.setattr(reopen, "PostgreSQL", Server)
    environments = {
        "shop": {"DSN": "postgresql://app:old@db/books"},
        "till": {"DSN": "postgresql://app:old@cash/books"},
    }
    made = two_shops(environments, changed)
    facts: dict[str, Any] = {}
    context: Any = SimpleNamespace(estate=made, record=lambda fact, **more: facts.setdefault(fact, more))
    made.links = SimpleNamespace(enable=made.lifecycle.stop)
    asyncio.run(reopen.Reopen(watch=Duration.parse("1ms")).run(["shop", "till"], context))
    assert [what for what, _ in changed] == ["app on db", "env old", "app on cash", "env old"]
    assert len({new for _, new in changed}) == 1
    assert facts["opened"]["rotated"] == ["app"]


def test_where_nothing_can_be_rotated_nobody_is_let_in() -> None:
    made = two_shops({"shop": {"PGPASSWORD": "old"}}, [])
    opened: list[str] = []
    context: Any = SimpleNamespace(estate=made, record=lambda fact, **_: opened.append(fact))
    with pytest.raises(ResponseFailed, match="no variable of shop is a PostgreSQL URL with a password"):
        asyncio.run(reopen.Reopen(watch=Duration.parse("1ms")).run(["shop"], context))
    assert opened == []


class Pair:
    """What `db` and `db-standby` are after a promotion: both write, the promoted one on a newer timeline."""

    changed: list[tuple[str, str]]
    said: dict[str, Standing | EngineError]

    def __init__(self, address: str, role: Any) -> None:
        self.address = address

    async def standing(self, _: float = 2.0) -> Standing:
        said = self.said[self.address]
        if isinstance(said, EngineError):
            raise said
        return said

    async def change_password(self, user: str, new: str) -> None:
        self.changed.append((user, self.address))


OLD, PROMOTED = Standing(False, 1, "0/1", "7"), Standing(False, 2, "0/1", "7")


def opened_after(
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, Standing | EngineError],
    damage: list[dict[str, int]],
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Open `shop` with new secrets; `damage` is what each count finds, the last one from then on."""
    changed: list[tuple[str, str]] = []
    counted: list[str] = []
    monkeypatch.setattr(Pair, "changed", changed, raising=False)
    monkeypatch.setattr(Pair, "said", said, raising=False)
    monkeypatch.setattr(reopen, "PostgreSQL", Pair)

    async def marked(address: str, _: object) -> dict[str, int]:
        counted.append(address)
        return damage.pop(0) if len(damage) > 1 else damage[0]

    monkeypatch.setattr(reopen, "marked_rows", marked)
    made = estate(True)
    made.plan.system.roles["database"].standby = "db-standby"
    made.positions = SimpleNamespace(
        environment=lambda _: {"DSN": "postgresql://app:old@db,db-standby/books"}
    )
    made.secrets = SimpleNamespace(replace=lambda *_: None)
    made.links = SimpleNamespace(enable=made.lifecycle.stop)
    facts: dict[str, Any] = {}
    context: Any = SimpleNamespace(estate=made, record=lambda fact, **more: facts.setdefault(fact, more))
    try:
        asyncio.run(reopen.Reopen(watch=Duration.parse("1ms")).run(["shop"], context))
    except ResponseFailed as failed:
        facts["failed"] = str(failed)
    facts["counted"] = set(counted)
    return facts, changed


@pytest.mark.parametrize("old", [OLD, Unreachable("nobody listens")])
def test_after_a_promotion_the_secrets_are_changed_where_payments_go_now(
    monkeypatch: pytest.MonkeyPatch, old: Standing | EngineError
) -> None:
    facts, changed = opened_after(monkeypatch, {"db": old, "db-standby": PROMOTED}, [{}])
    assert changed == [("app", "db-standby")]
    assert facts["counted"] == {"db-standby"}
    # The store follows the declared primary: a copy of what nobody writes to any more would be no backup.
    assert "backed-up" not in facts
    assert facts["not-backed-up"] == {"backup": "nightly", "writer": "db-standby"}


def test_where_nobody_takes_a_write_nobody_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    follows = Standing(True, 1, "0/1", "7")
    facts, changed = opened_after(monkeypatch, {"db": Unreachable("gone"), "db-standby": follows}, [{}])
    assert facts["failed"].startswith("nothing was opened: neither db nor db-standby")
    assert (changed, "opened" in facts) == ([], False)


@pytest.mark.parametrize(
    ("later", "back"),
    [
        ({"item": 40}, {}),
        ({"item": 41}, {"db": {"item": 1}}),
        ({"item": 40, "note": 3}, {"db": {"note": 3}}),
    ],
)
def test_damage_that_was_there_before_is_no_sign_of_his_return(
    monkeypatch: pytest.MonkeyPatch, later: dict[str, int], back: dict[str, dict[str, int]]
) -> None:
    both: dict[str, Standing | EngineError] = {"db": OLD, "db-standby": Standing(True, 1, "0/1", "7")}
    facts, _ = opened_after(monkeypatch, both, [{"item": 40}, later])
    assert facts["watched"]["damage"] == back
    assert ("failed" in facts) == bool(back)
    assert facts["watched"]["before"] == {"db": {"item": 40}}
