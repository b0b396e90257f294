"""The published schema of result.json is what the code writes."""

from __future__ import annotations

import json
from pathlib import Path

from chaoskit.evidence import result_schema

PUBLISHED = Path(__file__).parents[2] / "docs/schemas/result.schema.json"


def test_the_published_schema_is_generated_from_the_code() -> None:
    """Write it again with `chaoskit schema result`, or see `result_schema`."""
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == result_schema()


def test_it_says_what_it_is() -> None:
    schema = result_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["properties"]["version"]["const"] == "1"
    assert {"outcome", "exit-code", "as-expected", "verdicts", "scorecard"} <= set(schema["properties"])
    assert all("description" in schema["properties"][name] for name in ("outcome", "exit-code", "scorecard"))
