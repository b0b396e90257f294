"""JSON Schemas (draft 2020-12) of drill and system files, for editors, made from the models and members."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from chaoskit.model.drill import EVENTS, Drill
from chaoskit.spec.journey_names import JOURNEY_WAYS
from chaoskit.spec.member_params import Registry, field_names
from chaoskit.spec.system_file import SystemFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def drill_schema(registry: Registry) -> Schema:
    """Schema of a drill file; a step takes the parameters of the member its `fault:` or `respond:` names."""
    schema = Drill.model_json_schema(by_alias=True)
    definitions: dict[str, Schema] = schema["$defs"]
    _shape_step(definitions, registry)
    definitions["When"]["oneOf"] = [{"required": [event]} for event in EVENTS]
    fail = definitions["Expect"]["properties"]["fail"]
    definitions["Expect"]["properties"]["fail"] = _one_or_list(fail)
    expect = schema["properties"]["expect"]
    expect["anyOf"].append({"type": "object", "additionalProperties": {"anyOf": [*expect["anyOf"]]}})
    checks = registry.members("checks")
    if checks:
        schema["properties"]["checks"]["items"] = {"type": "string", "anyOf": _constants(checks)}
    return _finish(schema, "Drill file of chaoskit")


def system_schema() -> Schema:
    """Schema of a system file."""
    schema = SystemFile.model_json_schema(by_alias=True)
    journey = schema["$defs"]["Journey"]
    journey["oneOf"] = [{"required": [way]} for way in JOURNEY_WAYS]
    local = schema["$defs"]["LocalService"]
    local["oneOf"] = [{"required": [way]} for way in ("run", "postgresql")]
    return _finish(schema, "System file of chaoskit")


def as_text(schema: Schema) -> str:
    """The schema as it is committed: the drift test compares these bytes."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _finish(schema: Schema, title: str) -> Schema:
    schema.pop("title", None)
    for definition in schema["$defs"].values():
        _untitle(definition)
    _untitle(schema)
    return {"$schema": DIALECT, "title": title, **schema}


def _untitle(schema: Any) -> None:
    """Drops the titles that only repeat a key; editors would show them instead of the description."""
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for key, value in schema.items():
            for one in value.values() if key == "properties" else [value]:
                _untitle(one)
    elif isinstance(schema, list):
        for one in schema:
            _untitle(one)


def _shape_step(definitions: dict[str, Schema], registry: Registry) -> None:
    """Step parameters stand beside `on:`, and a lone target needs no list."""
    step = definitions["Step"]
    properties: dict[str, Schema] = step["properties"]
    del properties["params"]
    properties["on"] = _one_or_list(properties["on"])
    faults, responses = registry.members("faults"), registry.members("responses")
    probes = registry.members("probes")
    properties["fault"] = {"type": "string", "description": properties["fault"]["description"]}
    properties["respond"] = {"type": "string", "description": properties["respond"]["description"]}
    properties["probe"] = {"type": "string", "description": properties["probe"]["description"]}
    if probes:
        properties["probe"]["anyOf"] = _constants(probes)
    if faults:
        properties["fault"]["anyOf"] = _constants(faults)
    if responses:
        # A runbook of the system may be named too, so other words are no mistake here.
        properties["respond"]["anyOf"] = [*_constants(responses), {"type": "string"}]
    known: dict[str, Any] = dict.fromkeys(properties, True)
    step["oneOf"] = [{"required": ["fault"]}, {"required": ["respond"]}, {"required": ["probe"]}]
    step["allOf"] = [
        _parameters(key, name, member, known, definitions)
        for key, members in (("fault", faults), ("respond", responses), ("probe", probes))
        for name, member in members.items()
    ]
    del step["additionalProperties"]


def _parameters(
    key: str, name: str, member: type, known: Mapping[str, Any], definitions: dict[str, Schema]
) -> Schema:
    """if the step names this member, then these parameters, and no other keys."""
    schema = TypeAdapter(member).json_schema(ref_template="#/$defs/{model}")
    definitions.update(schema.pop("$defs", {}))
    back = {field: written for written, field in field_names(member).items()}
    properties = {
        back[field]: value for field, value in schema.get("properties", {}).items() if field in back
    }
    required = [back[field] for field in schema.get("required", []) if field in back]
    return {
        "if": {"properties": {key: {"const": name}}, "required": [key]},
        "then": {
            "properties": {**known, **properties},
            "additionalProperties": False,
            **({"required": required} if required else {}),
        },
    }


def _constants(members: Mapping[str, type]) -> list[Schema]:
    return [{"const": name, "description": _first_line(member)} for name, member in members.items()]


def _first_line(member: type) -> str:
    return (inspect.getdoc(member) or "").partition("\n")[0]


def _one_or_list(schema: Schema) -> Schema:
    """A list, or its only item."""
    about: Schema = {key: schema.pop(key) for key in ("description", "default") if key in schema}
    return {**about, "anyOf": [schema["items"], {**schema, "minItems": 1}]}
