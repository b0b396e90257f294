"""The published JSON Schema of result.json, generated from the model so that the two cannot drift apart."""

from __future__ import annotations

from typing import Any

from chaoskit.model.verdict import RESULT_VERSION, Result

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def result_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of result.json, version RESULT_VERSION."""
    schema = Result.model_json_schema(by_alias=True, mode="serialization")
    schema["$schema"] = DIALECT
    schema["title"] = f"chaoskit result.json, version {RESULT_VERSION}"
    schema["properties"]["version"]["const"] = RESULT_VERSION
    return schema
