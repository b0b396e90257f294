"""A series: runs of one drill whose number was fixed in advance, every one of them published."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chaoskit.model.base import Frozen
from chaoskit.model.drill import RUNS_MAX, Confidence
from chaoskit.quantity import Percent

SERIES_VERSION = "1"
SUFFIX = ".series.json"
"""How the name of a series' file ends."""


class Place(Frozen):
    """Which run of which series a plan is for."""

    series: Annotated[str, Field(description="name of the series: that of its file in the reports folder")]
    number: Annotated[int, Field(ge=1, description="from 1")]
    runs: Annotated[int, Field(ge=1, description="how many runs were fixed in advance")]


class SeriesFile(Frozen):
    """`reports/<series>.series.json`, written before the first run starts; it is never changed."""

    version: str = SERIES_VERSION
    series: str
    drill: str
    runs: Annotated[int, Field(ge=1, le=RUNS_MAX)]
    confidence: Confidence
    seeds: Annotated[tuple[int, ...], Field(description="of each run in turn")]

    @model_validator(mode="after")
    def _a_seed_for_each(self) -> Self:
        if len(self.seeds) != self.runs:
            raise ValueError(f"{len(self.seeds)} seeds for {self.runs} runs")
        return self


class SeriesRun(Frozen):
    """What became of one run; missing: there is no folder that says it was made and judged."""

    number: int
    outcome: Literal["pass", "fail", "unknown", "aborted", "missing"]
    as_expected: bool
    folder: str | None = None
    reason: str = ""


class SeriesResult(Frozen):
    """All runs of a series, and what they say of the next one."""

    series: str
    drill: str
    runs: tuple[SeriesRun, ...]
    confidence: Percent
    met: int
    miss_at_most: Annotated[
        float,
        Field(description="upper bound on P(miss) at `confidence`, whoever gave no answer counted as a miss"),
    ]

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(run.number for run in self.runs if run.outcome == "missing")
