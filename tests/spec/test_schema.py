"""The committed JSON Schemas are what the code says, describe every key, and agree with the loader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.model.drill import EVENTS
from chaoskit.spec import schema
from tests.spec.fake_members import FakeRegistry

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["drill", "system"])
def test_the_committed_schema_is_the_code_s(name: str) -> None:
    fresh = schema.drill_schema(registry) if name == "drill" else schema.system_schema()
    committed = (ROOT / "drills" / f"{name}.schema.json").read_text("utf-8")
    assert committed == schema.as_text(fresh), "run scripts/generate and commit the result"


@pytest.mark.parametrize(
    "made", [schema.drill_schema(registry), schema.system_schema()], ids=["drill", "system"]
)
def test_every_key_has_a_description(made: dict[str, Any]) -> None:
    for path, key, value in _keys(made):
        if not path.endswith("/if"):
            assert value is True or value.get("description"), f"{path}: {key}"


def test_every_reference_leads_somewhere() -> None:
    for made in (schema.drill_schema(registry), schema.drill_schema(FakeRegistry()), schema.system_schema()):
        for reference in _references(made):
            assert reference.removeprefix("#/$defs/") in made["$defs"]


def test_a_step_takes_its_member_s_parameters_and_no_others() -> None:
    step = schema.drill_schema(FakeRegistry())["$defs"]["Step"]
    latency = next(
        one
        for one in step["allOf"]
        if one["if"]["properties"].get("fault", {}).get("const") == "link.latency"
    )
    assert latency["then"]["additionalProperties"] is False
    assert latency["then"]["required"] == ["latency"]
    assert {"latency", "jitter", "stream-side", "on", "at", "for"} <= set(latency["then"]["properties"])
    assert "params" not in step["properties"]
    assert [one["type"] for one in step["properties"]["on"]["anyOf"]] == ["string", "array"]


def test_a_step_may_wait_for_every_event() -> None:
    when = schema.drill_schema(registry)["$defs"]["When"]
    assert [one["required"] for one in when["oneOf"]] == [[event] for event in EVENTS]
    assert set(EVENTS) < set(when["properties"])


def _keys(node: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    if isinstance(node, dict):
        for key, value in node.get("properties", {}).items():
            yield path, key, value
        for key, value in node.items():
            yield from _keys(value, f"{path}/{key}")
    elif isinstance(node, list):
        for value in node:
            yield from _keys(value, path)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
