"""Systems for tests on Docker: a Compose file and a system.yaml made on the spot, and the plan of a drill on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chaoskit import pipeline, registry
from chaoskit.model.plan import Plan
from chaoskit.spec import load

IMAGE = "debian:bookworm-slim"
SERVER = (Path(__file__).parent / "small" / "serve.pl").read_text(encoding="utf-8")
LISTENS = {
    "test": ["CMD", "perl", "-MIO::Socket::INET", "-e", 'exit !IO::Socket::INET->new("127.0.0.1:8080")'],
    "interval": "100ms",
    "timeout": "5s",
    "retries": 50,
}


def web(**more: Any) -> dict[str, Any]:
    """A service that answers 200 on port 8080; `behind=NAME` makes it ask another first."""
    behind = more.pop("behind", None)
    return {
        "image": IMAGE,
        "command": ["perl", "/serve.pl", "8080", *([behind, "8080"] if behind else [])],
        "expose": ["8080"],
        "volumes": ["./serve.pl:/serve.pl:ro"],
        "healthcheck": LISTENS,
        "stop_grace_period": "2s",
        **more,
    }


def idle(**more: Any) -> dict[str, Any]:
    """A service that does nothing, and ends at once when it is told to."""
    return {"image": IMAGE, "init": True, "command": ["sleep", "infinity"], **more}


def plan_of(
    folder: Path, services: Mapping[str, Any], links: Sequence[str] = (), entry: str | None = None, **top: Any
) -> Plan:
    """The plan of a drill that is never run; customers come in at `entry`, by default the first service."""
    folder.mkdir(parents=True, exist_ok=True)
    entry = entry or next(iter(services))
    (folder / "serve.pl").write_text(SERVER, encoding="utf-8")
    system = {
        "system": "made",
        "compose": "compose.yaml",
        "links": [f"customers -> {entry}", *links],
        "journeys": {"look": {"get": f"{entry}/", "good": {"status": 200, "within": "1s"}}},
    }
    drill = {
        "drill": "made",
        "title": "Made for a test",
        "system": "system.yaml",
        "load": {"look": "10/s"},
        "timeline": [{"at": "0s", "fault": "process.kill", "on": entry}],
        "objectives": {"look": {"rto": "1m"}},
    }
    documents = {"compose.yaml": {"services": services, **top}, "system.yaml": system, "drill.yaml": drill}
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    return pipeline.make_plan(load(folder / "drill.yaml", registry), "docker")
