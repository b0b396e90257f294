"""A variant of a system: its part of system.yaml laid over the rest, every value keeping the place where it stands.

variants: {fast: {links: [a -> b], local: {a: {port: 81}}}}
                      │ added              │ merged by key; anything else replaces
                      ▼                    ▼
links: [c -> a]     local: {a: {run: …, port: 80}}

`without-links` takes links away first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.errors import Problem
from chaoskit.model.base import kebab
from chaoskit.model.system import Variant
from chaoskit.spec.places import Loc, Places, nearest, shown

_OF_ITS_OWN = ("compose", "title", "without_links")
LAID_OVER = tuple(kebab(name) for name in Variant.model_fields if name not in _OF_ITS_OWN)
_ADDED = "links"
_TAKEN = "without-links"


def lay_over(data: Mapping[str, Any], places: Places, variant: str | None) -> tuple[dict[str, Any], Places]:
    """The system file's values and places with one variant's laid over; unknown or unfit ones change nothing."""
    variants = data.get("variants")
    over = variants.get(variant) if isinstance(variants, dict) else None
    if not isinstance(over, dict):
        return dict(data), places
    places = places.copy()
    data = _without(data, {_spelled(one) for one in _listed(over.get(_TAKEN))}, places)
    own = {key: value for key, value in over.items() if key in LAID_OVER and value is not None}
    return _merge(data, own, (), ("variants", str(variant)), places), places


def unknown_links(data: Mapping[str, Any], places: Places) -> list[Problem]:
    """What variants take away and the system does not have."""
    variants = data.get("variants")
    known = {_spelled(one) for one in _listed(data.get(_ADDED))}
    found = []
    for name, over in variants.items() if isinstance(variants, dict) else ():
        for number, one in enumerate(_listed(over.get(_TAKEN)) if isinstance(over, dict) else ()):
            if isinstance(one, str) and _spelled(one) not in known:
                hint = nearest(_spelled(one), known, "links")
                found.append(
                    places.problem(
                        ("variants", name, _TAKEN, number), f"the system has no link {shown(one)}", hint
                    )
                )
    return found


def _without(data: Mapping[str, Any], taken: set[str], places: Places) -> dict[str, Any]:
    """The system's values without these links; those behind one move up, and their places with them."""
    links = data.get(_ADDED)
    if not taken or not isinstance(links, list):
        return dict(data)
    kept = [number for number, one in enumerate(links) if _spelled(one) not in taken]
    for now, before in enumerate(kept):
        places.graft((_ADDED, before), (_ADDED, now))
    return {**data, _ADDED: [links[number] for number in kept]}


def _spelled(link: Any) -> str:
    """`a->b` as `a -> b`."""
    return " -> ".join(part.strip() for part in str(link).split("->"))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


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
