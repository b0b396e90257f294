"""A variant of a system: its part of system.yaml laid over the rest, every value keeping the place where it stands.

variants: {fast: {links: [a -> b], local: {a: {port: 81}}}}
                      │ added              │ merged by key; anything else replaces
                      ▼                    ▼
links: [c -> a]     local: {a: {run: …, port: 80}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.model.base import kebab
from chaoskit.model.system import Variant
from chaoskit.spec.places import Loc, Places

LAID_OVER = tuple(kebab(name) for name in Variant.model_fields if name not in ("compose", "title"))
_ADDED = "links"


def lay_over(data: Mapping[str, Any], places: Places, variant: str | None) -> tuple[dict[str, Any], Places]:
    """The system file's values and places with one variant's laid over; unknown or unfit ones change nothing."""
    variants = data.get("variants")
    over = variants.get(variant) if isinstance(variants, dict) else None
    if not isinstance(over, dict):
        return dict(data), places
    places = places.copy()
    own = {key: value for key, value in over.items() if key in LAID_OVER and value is not None}
    return _merge(data, own, (), ("variants", str(variant)), places), places


def _merge(
    under: Mapping[str, Any], over: Mapping[str, Any], at: Loc, source: Loc, places: Places
) -> dict[str, Any]:
    found = dict(under)
    for key, value in over.items():
        there, here = (*at, key), (*source, key)
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _merge(found[key], value, there, here, places)
        elif there == (_ADDED,) and isinstance(value, list) and isinstance(found.get(key), list):
            begin = len(found[key])
            found[key] = [*found[key], *value]
            for number in range(len(value)):
                places.graft((*here, number), (*there, begin + number))
        else:
            found[key] = value
            places.graft(here, there)
    return found
