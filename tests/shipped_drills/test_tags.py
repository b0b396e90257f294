"""What every shipped drill has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaoskit import registry
from chaoskit.drill_files import drills_in
from chaoskit.spec import load

DRILLS = drills_in(Path(__file__).parents[2] / "drills")


@pytest.mark.parametrize("path", DRILLS, ids=[path.stem for path in DRILLS])
def test_its_tags_name_what_it_replays(path: Path) -> None:
    """S1 … S44 are the rows of what has to be drillable: a drill without one would be in nobody's coverage."""
    tags = load(path, registry).drill.tags
    assert any(re.fullmatch(r"S([1-9]|[1-3][0-9]|4[0-4])", tag) for tag in tags), tags
