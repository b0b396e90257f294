"""The toxics by type; each file of this folder that defines `SETTINGS` and `STAGE` is one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chaoskit.toxiproxy.errors import InvalidToxic
from chaoskit.toxiproxy.toxics.settings import Settings
from chaoskit.toxiproxy.toxics.stage import Stage


@dataclass(frozen=True)
class ToxicKind:
    """What a toxic file offers: its type name, its attributes and its work on one connection."""

    name: str
    settings: type[Settings]
    stage: type[Stage[Any]]


def _scan() -> dict[str, ToxicKind]:
    kinds: dict[str, ToxicKind] = {}
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        settings = getattr(module, "SETTINGS", None)
        if settings is not None:
            kinds[settings.toxic_type] = ToxicKind(settings.toxic_type, settings, module.STAGE)
    return kinds


KINDS: Mapping[str, ToxicKind] = _scan()


def check_toxic(toxic_type: str, stream: str, attributes: Mapping[str, int], toxicity: float) -> Settings:
    """Check a toxic strictly, before it is sent to any server.

    Unknown attributes are refused too: a misspelt one would silently be a fault of strength zero.
    Raises `InvalidToxic` with the bad value and the known ones.
    """
    if toxic_type not in KINDS:
        raise InvalidToxic(f"no toxic {toxic_type!r}; known: {', '.join(sorted(KINDS))}")
    if stream not in ("upstream", "downstream"):
        raise InvalidToxic(f"{toxic_type}: stream must be upstream or downstream, not {stream!r}")
    if isinstance(toxicity, bool) or not 0 <= toxicity <= 1:
        raise InvalidToxic(f"{toxic_type}: toxicity must be from 0 to 1, not {toxicity!r}")
    settings = KINDS[toxic_type].settings
    for name in attributes:
        if name not in settings.names():
            known = ", ".join(settings.names()) or "none"
            raise InvalidToxic(f"{toxic_type}: no attribute {name!r}; known: {known}")
    return settings.checked(attributes)
