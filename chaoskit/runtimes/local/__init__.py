"""The `local` runtime: a system as Linux processes under a supervisor, no Docker and no root needed.

    conductor ──socketpair, JSON lines──► supervisor (own session, subreaper, janitor)
        │                                     ├── keeper ── service ── its children
        │ reads /proc itself                  ├── keeper ── embedded toxiproxy
        └─────────────────────────────────    └── keeper ── load, prober, pg_basebackup …

Names are imported when first used: the supervisor runs inside this package and must start in milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaoskit.runtimes.local.estate import LocalEstate as LocalEstate
    from chaoskit.runtimes.local.heal import clean as clean
    from chaoskit.runtimes.local.heal import heal as heal
    from chaoskit.runtimes.local.residue import residue as residue
    from chaoskit.runtimes.local.runtime import LocalRuntime as LocalRuntime
    from chaoskit.runtimes.local.slot import Slot as Slot

_HOMES = {
    "LocalRuntime": "runtime",
    "LocalEstate": "estate",
    "Slot": "slot",
    "heal": "heal",
    "clean": "heal",
    "residue": "residue",
}
__all__ = ["LocalEstate", "LocalRuntime", "Slot", "clean", "heal", "residue"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
