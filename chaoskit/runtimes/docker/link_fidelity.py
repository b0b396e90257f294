"""What links on Docker are, and what of them a service can notice: for the fidelity of a run."""

from __future__ import annotations

from chaoskit.model.system import System


def seen_by(system: System, service: str) -> str:
    """What the links change for one service; empty when nothing leads to it."""
    callers = sorted({link.caller for link in system.links if link.callee == service})
    if not callers:
        return ""
    return f"sees the proxy's address in place of those of {', '.join(callers)}"
