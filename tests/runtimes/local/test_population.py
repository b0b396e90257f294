"""The declared population reaches the primary, and what is wrong with it is named."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.system import Pool
from chaoskit.runtimes.population import members, populate
from tests.runtimes.local import tiny
from tests.runtimes.local.conftest import Provision

NOWHERE = Address("127.1.2.3", 9)


def test_pools_are_written_by_their_format() -> None:
    assert members(Pool(count=3, format="ACC-{n:03d}")) == ["ACC-001", "ACC-002", "ACC-003"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "No such file"),
        ("SELECT %(nobody)s", "fill.sql failed"),
        ("SELECT * FROM nowhere", 'relation "nowhere" does not exist'),
    ],
)
def test_a_script_that_fails_is_named(
    tmp_path: Path, provision: Provision, script: str | None, said: str
) -> None:
    system = tiny.shop(tmp_path, synchronous=False)
    (tmp_path / "fill.sql").unlink()

    async def main() -> None:
        async with provision(tiny.plan(system.model_copy(update={"population": None}))) as estate:
            if script is not None:
                (tmp_path / "fill.sql").write_text(script)
            await populate(system, estate.direct, 10)

    with pytest.raises(EnvironmentBroken, match=said):
        asyncio.run(main())


def test_a_role_that_is_none_and_a_database_that_is_away(tmp_path: Path) -> None:
    system = tiny.shop(tmp_path)
    assert system.population is not None
    assert system.population.load is not None
    load = system.population.load.model_copy(update={"on": "elsewhere"})
    population = system.population.model_copy(update={"load": load})
    with pytest.raises(EnvironmentBroken, match="'elsewhere' is no role; known: database"):
        asyncio.run(populate(system.model_copy(update={"population": population}), lambda _: NOWHERE, 5))
    with pytest.raises(EnvironmentBroken, match=r"fill\.sql failed.*(?s:.)*refused"):
        asyncio.run(populate(system, lambda _: NOWHERE, 5))
