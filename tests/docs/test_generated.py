"""The committed schemas and reference pages are what the code says now."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.cli.reference import generated_files

ROOT = Path(__file__).parents[2]
FILES = generated_files()


@pytest.mark.parametrize("name", sorted(FILES))
def test_generated_file_is_current(name: str) -> None:
    path = ROOT / name
    assert path.exists(), f"{name} is missing; run scripts/generate"
    assert path.read_text(encoding="utf-8") == FILES[name], f"{name} is stale; run scripts/generate"
