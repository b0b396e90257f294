"""The customers and accounts that exist before a drill begins."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chaoskit.model.base import Frozen


class Pool(Frozen):
    """A named set of identifiers, like the accounts: `count` of them, written by `format` with {n} from 1."""

    count: Annotated[int, Field(ge=1, le=10_000_000, description="how many members")]
    format: Annotated[str, Field(description="Python format with {n}, like ACC-{n:05d}")]


class PopulationLoad(Frozen):
    """SQL script run once on the primary; each pool is a text[] parameter of its name, the seed is %(seed)s."""

    on: Annotated[str, Field(description="database role on whose primary it runs")]
    script: Annotated[str, Field(description="SQL file, relative to system.yaml")]


class Population(Frozen):
    """The customers and accounts that exist before the drill begins."""

    seed: Annotated[int, Field(description="drawn values of the population come from it")] = 0
    pools: Annotated[dict[str, Pool], Field(min_length=1, description="sets of identifiers, by name")]
    load: Annotated[PopulationLoad | None, Field(description="how the population gets into the database")] = (
        None
    )
