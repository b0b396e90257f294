"""What faults and responses can be carried out on the `local` runtime."""

from __future__ import annotations

CAPABILITIES = frozenset(
    {
        "processes",
        "lifecycle",
        "links",
        "positions",
        "outsiders",
        "backups",
        "secrets",
        "releases",
        "followers",
    }
)
