"""The clocks of people and bank: one row each, every cell a string that is ready to be printed."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.judge import decisions
from chaoskit.judge.wording import NOTHING, bounds
from chaoskit.model.measurement import Measurements

_WORDS = {"taken": "decided", "refused": "refused", "missed": "not decided"}


def clock_rows(measurements: Measurements) -> Iterator[dict[str, str]]:
    """Rows with the columns clock, after the fault, what; none where nobody decided anything."""
    for one in measurements.decisions:
        after = bounds(one.after) if one.after is not None and one.outcome != "missed" else NOTHING
        yield _row(f"{_WORDS[one.outcome]}: {one.step}", after, decisions.in_words(one))


def _row(clock: str, after: str, what: str) -> dict[str, str]:
    return {"clock": clock, "after the fault": after, "what": what}
