"""Secrets that were changed during a run: what services are told from their next start on, on every runtime."""

from __future__ import annotations

from collections.abc import Mapping


class ReplacedSecrets:
    """Capability `secrets`."""

    def __init__(self) -> None:
        self._new: dict[str, str] = {}

    def replace(self, old: str, new: str) -> None:
        """As the protocol says. What had already been replaced by `old` becomes `new` too."""
        self._new = {was: new if now == old else now for was, now in self._new.items()} | {old: new}

    def told(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment with every replaced secret in its new form."""
        found = dict(environment)
        for old, new in self._new.items():
            found = {name: value.replace(old, new) for name, value in found.items()}
        return found
