"""The Docker Engine dies half way: the run ends unknown in time with its history, and the next start cleans up."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.ownership import RUN
from chaoskit.runtimes.docker.removal import labelled
from tests.end_to_end.conftest import Workplace
from tests.end_to_end.test_exit_codes import left_running, wait_for_event
from tests.runtimes.docker.second_engine import SecondEngine, second_engine
from tests.runtimes.docker.systems import SERVER, web

pytestmark = pytest.mark.docker

_WITHIN_S = 15.0
IMAGES = ("debian:bookworm-slim", "toxiproxy:2.12.0")
_SYSTEM = """\
system: small
compose: compose.yaml
links: [customers -> web]
journeys:
  visit: {get: web/, good: {status: 200, within: 1s}}
"""
_DRILL = """\
drill: engine
title: The engine dies while the web server is frozen
system: system.yaml
load: {visit: 20/s}
steady: {for: 1s, success: 90%, within: 20s}
timeline:
  - {at: 0s, fault: process.freeze, on: web, for: 25s}
objectives:
  visit: {rto: 2m}
settle: {hold: 2s, gap: 100ms}
"""
# A run that ends soon: no customer is ever served in a microsecond.
_VAIN = _DRILL.replace("success: 90%, within: 20s", "success: 90%, p99: 1us, within: 1s")


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("end", "next_start"), [(SecondEngine.kill, "run"), (SecondEngine.stop, "clean")])
def test_the_engine_dies_half_way(
    workplace: Workplace, end: Callable[[SecondEngine], None], next_start: str
) -> None:
    compose = json.dumps({"services": {"web": web()}})
    for name, text in (("compose.yaml", compose), ("system.yaml", _SYSTEM), ("serve.pl", SERVER)):
        (workplace.folder / name).write_text(text)
    drill = workplace.drill(_DRILL)
    with second_engine(*IMAGES) as engine:
        workplace.environment["DOCKER_HOST"] = engine.url
        # Nothing is measured here, so that no other drill on this machine has to be waited for.
        workplace.environment["CHAOSKIT_LOCK_DIR"] = str(workplace.folder)
        process = subprocess.Popen(
            workplace.command("run", "--runtime", "docker", drill, "--reports", workplace.reports),
            cwd=workplace.folder,
            env=workplace.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert wait_for_event(workplace, "fault.applied"), said(process)
            died_at = time.monotonic()
            end(engine)
            out, _ = process.communicate(timeout=200)
            took_s = time.monotonic() - died_at
        finally:
            process.kill()
            process.wait()
        assert (process.returncode, took_s < _WITHIN_S) == (3, True), f"{took_s:.1f} s\n{out}"
        assert workplace.result()["outcome"] == "unknown"
        (folder,) = workplace.folders()
        kinds = [event["kind"] for event in history(folder)]
        assert kinds[0] == "run.begin"
        assert "fault.applied" in kinds
        assert "Docker Engine" in out

        engine.start()
        assert labelled(EngineSocket(engine.url), [RUN]) != []
        if next_start == "clean":
            healed = workplace.chaoskit("clean")
            assert healed.code == 0, healed.both
        else:
            another = workplace.run(workplace.drill(_VAIN), "--runtime", "docker")
            assert another.code == 3, another.both
        assert labelled(EngineSocket(engine.url), [RUN]) == []
        assert left_running(workplace.folder) == []


def said(process: subprocess.Popen[str]) -> str:
    """All that a run that went wrong has printed."""
    process.kill()
    out, _ = process.communicate()
    return out


def history(folder: Path) -> list[dict[str, Any]]:
    """The events of a run."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines() if line]
