"""Versions are asked of the servers themselves; one that does not say is recorded as such."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaoskit.clock import monotonic_ns
from chaoskit.conductor import versions
from chaoskit.conductor.recorder import Recorder
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.engines.session import EngineError
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address, Estate
from chaoskit.model.history import Event
from chaoskit.model.system import DatabaseRole

ROLE = DatabaseRole(engine="postgresql", primary="db", standby="copy", database="shop", user="keeper")


def recorded(folder: Path, direct: Any) -> list[dict[str, Any]]:
    heard: list[Event] = []
    recorder = Recorder(folder / "events.jsonl", monotonic_ns, heard.append)
    system = SimpleNamespace(roles={"database": ROLE})
    estate = SimpleNamespace(plan=SimpleNamespace(system=system), direct=direct)
    try:
        asyncio.run(versions.record_versions(cast(Estate, estate), recorder))
    finally:
        recorder.close()
    return sorted((event.data for event in heard), key=lambda data: str(data["service"]))


def test_each_member_says_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def version(self: PostgreSQL, within_s: float) -> str:
        if self.address.host == "copy":
            raise EngineError("copy is out of connections")
        return "PostgreSQL 18.6"

    monkeypatch.setattr(PostgreSQL, "version", version)
    assert recorded(tmp_path, lambda service: Address(service, 5432)) == [
        {"service": "copy", "version": None, "error": "copy is out of connections"},
        {"service": "db", "version": "PostgreSQL 18.6"},
    ]


def test_one_without_an_address(tmp_path: Path) -> None:
    def nowhere(service: str) -> Address:
        raise EnvironmentBroken(f"no port of {service} is known")

    (told,) = recorded(tmp_path, nowhere)
    assert told["error"] == "no port of db is known"
