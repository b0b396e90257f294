"""What links on Docker are, and what of them a service can notice: for the fidelity of a run."""

from __future__ import annotations

from chaoskit.model.system import System


def describe_links(system: System) -> str:
    """One sentence for the scorecard; empty for a system without links."""
    if not system.links:
        return ""
    count = len(system.links)
    return (
        f"{count} {'link' if count == 1 else 'links'} through the real Toxiproxy 2.12; names and ports as they were; "
        "callees see the proxy's address as the source"
    )


def seen_by(system: System, service: str) -> str:
    """What the links change for one service; empty when nothing leads to it."""
    callers = sorted({link.caller for link in system.links if link.callee == service})
    if not callers:
        return ""
    return f"sees the proxy's address in place of those of {', '.join(callers)}"
